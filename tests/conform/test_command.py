"""`kerbstone conform` at a real broker: of a gateway that is only a retained status."""

import json
import subprocess
from pathlib import Path
from typing import Final

from edge.wire import JSON, Topics
from tests.conform.scriptedgateway import example
from tests.kit.broker import Mosquitto
from tests.kit.command import Command

TOPICS: Final = Topics("kerbstone/v1", "test", "gw-1")
PRODUCT: Final = 'name = "A"\nversion = "1"\nsite = "test"\ngateway = "gw-1"\nperiod_s = 0.2\n'


def start(broker: Mosquitto, folder: Path) -> list[str]:
    """The broker retains a status of it. Returns the words of the command."""
    status = json.dumps(example("status", state="online"))
    subprocess.run(
        ["mosquitto_pub", "-p", str(broker.port), "-V", "5", "-q", "1", "-r", "-t", TOPICS.status,
         "-m", status, "-D", "publish", "content-type", JSON],
        check=True, timeout=30,
    )  # fmt: skip
    product = folder / "product.toml"
    product.write_text(PRODUCT)
    return ["conform", "--broker", broker.url, "--product", str(product)]


def test_a_failed_check_is_exit_1_and_stands_in_every_report(
    kerbstone: Command, broker: Mosquitto, tmp_path: Path
) -> None:
    page, table = tmp_path / "result.html", tmp_path / "result.md"
    words = start(broker, tmp_path)
    said = kerbstone(*words, "--json", "--report", page, "--report", table)
    assert said.code == 1, said.err
    found = json.loads(said.out)
    failed = {each["id"] for each in found["checks"] if each["verdict"] == "failed"}
    assert failed == {"meta.held", "records.live"}
    assert not found["conforms"]
    for path in (page, table):
        assert "meta.held" in path.read_text()
        assert "does not conform" in path.read_text()


def test_a_hook_that_fails_is_exit_2(kerbstone: Command, broker: Mosquitto, tmp_path: Path) -> None:
    said = kerbstone(*start(broker, tmp_path), "--restart-command", "exit 7")
    assert said.code == 2
    assert "--restart-command ended with exit code 7" in said.err
