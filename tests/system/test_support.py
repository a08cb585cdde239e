"""`kerbstone support` beside a running daemon."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.cli.test_support import members
from tests.kit.gateway import AIR, KERBSTONE, ROOT, GatewayProcess
from tests.system.test_read import wait_for


def test_the_archive_has_what_the_daemon_knows(
    site: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    one = site(AIR)
    one.start()
    wait_for((tmp_path / "run" / "control.sock").exists)
    command = [*KERBSTONE, "support", "--config", str(one.config), "--out", "-"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert b"README.txt" in done.stderr
    (tmp_path / "a.tar.gz").write_bytes(done.stdout)
    found = members(tmp_path / "a.tar.gz")
    assert "issues" in json.loads(found["status.json"])
    assert json.loads(found["doctor.json"])["through"].startswith("as the daemon reports")
    assert {"site.toml", "versions.txt", "proc/meminfo.txt"} <= set(found)
