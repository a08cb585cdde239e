"""The unit and its companions, judged by systemd's own tools in a staged root."""

import configparser
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.cli.run import HANDED_OVER_CODE
from edge.config import Store
from edge.core import boxfiles
from edge.gateway.busworker import GRACE_S
from edge.gateway.busworkers import LOOK_NS

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
SERVICE = UNITS / "kerbstone.service"
SYSTEM = Path("usr/lib/systemd/system")
ANALYZE = "systemd-analyze"


def tool(name: str, package: str) -> str:
    """The path of a program, which may be outside of a user's PATH."""
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not here; apt install {package}")
    return found


def run(*command: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """A root with the system's own targets, our unit as it is, and a program where it says."""
    units = tmp_path / SYSTEM
    units.mkdir(parents=True)
    host = Path("/") / SYSTEM
    for kind in ("target", "slice", "mount"):
        for unit in host.glob(f"*.{kind}"):
            (units / unit.name).write_bytes(unit.read_bytes())
    shutil.copy(SERVICE, units)
    program = tmp_path / "opt/kerbstone/venv/bin/kerbstone"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return tmp_path


def verify(stage: Path) -> tuple[int, str]:
    program = tool(ANALYZE, "systemd")
    return run(program, "verify", "--man=no", f"--root={stage}", SERVICE.name)


def test_the_service_is_clean(stage: Path) -> None:
    assert verify(stage) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("WatchdogSec=", "WatchdogSek=", "Unknown key"),
        ("venv/bin/kerbstone", "venv/bin/kerbston", "not executable"),
    ],
)
def test_a_broken_service_would_be_found(stage: Path, old: str, new: str, message: str) -> None:
    unit = stage / SYSTEM / SERVICE.name
    unit.write_text(unit.read_text().replace(old, new))
    _, text = verify(stage)  # an unknown key is told, but does not change the code
    assert message in text


def test_its_exposure_is_at_most_1_7() -> None:
    code, text = run(
        tool(ANALYZE, "systemd"), "security", "--offline=true", "--threshold=17", SERVICE
    )
    assert code == 0, text[-200:]
    code, _ = run(tool(ANALYZE, "systemd"), "security", "--offline=true", "--threshold=5", SERVICE)
    assert code != 0, "a threshold that is never reached would prove nothing"


def test_the_user_and_its_groups_are_made() -> None:
    code, text = run(tool("systemd-sysusers", "systemd"), "--dry-run", UNITS / "kerbstone.sysusers")
    assert code == 0, text


def test_the_folders_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(
        "root:x:0:0::/:/bin/sh\nkerbstone:x:999:999::/:/bin/sh\n"
        "kerbstone-access-point:x:997:999::/:/bin/sh\n"
    )
    (tmp_path / "etc/group").write_text("root:x:0:\nkerbstone:x:999:\nkerbstone-config:x:998:\n")
    program = tool("systemd-tmpfiles", "systemd")
    code, text = run(
        program, "--dry-run", "--create", f"--root={tmp_path}", UNITS / "kerbstone.tmpfiles"
    )
    assert code == 0, text
    for folder in ("/etc/kerbstone", "/run/kerbstone"):
        assert f"{tmp_path}{folder}" in text


def test_the_udev_rules_are_well_formed(tmp_path: Path) -> None:
    program = tool("udevadm", "udev")
    code, text = run(program, "verify", "--resolve-names=never", UNITS / "60-kerbstone.rules")
    assert code == 0, text
    broken = tmp_path / "60-broken.rules"
    broken.write_text('SUBSYSTEM=="gpio", GROOP="gpio"\n')
    assert run(program, "verify", "--resolve-names=never", broken)[0] != 0


def section(file: Path, name: str) -> dict[str, str]:
    """A section of a unit; of a key that stands there twice, the last line."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser documents it
    parser.read(file)
    return dict(parser[name])


def service() -> dict[str, str]:
    return section(SERVICE, "Service")


def test_the_unit_agrees_with_the_defaults_of_the_configuration() -> None:
    unit, store = service(), Store()
    assert store.dir == f"/var/lib/{unit['StateDirectory']}"
    assert store.run_dir == f"/run/{unit['RuntimeDirectory']}"
    assert unit["ExecStart"].split()[1:] == ["run"]


def test_the_stage_survives_and_no_end_is_the_last_one() -> None:
    unit = service()
    assert unit["RuntimeDirectoryPreserve"] == "yes"
    assert unit["Restart"] == "always"
    handed_over = unit["RestartPreventExitStatus"], unit["SuccessExitStatus"]
    assert handed_over == (str(HANDED_OVER_CODE),) * 2, "after any other end it starts again"
    assert section(SERVICE, "Unit")["StartLimitIntervalSec"] == "0"
    assert unit["Type"] == "notify"
    assert unit["MemoryHigh"] == "160M"
    assert unit["MemoryMax"] == "200M"


def test_the_boards_watchdog_waits_no_longer_than_the_hardware_can_count() -> None:
    manager = section(UNITS / "watchdog.conf", "Manager")
    assert manager == {"RuntimeWatchdogSec": "15s", "RebootWatchdogSec": "15s"}


def test_a_first_replacement_of_a_hung_bus_comes_before_systemd_loses_patience() -> None:
    """The watchdog grants a hung bus GRACE more than its limit; then systemd waits WatchdogSec."""
    assert 0 < LOOK_NS / 1e9 < GRACE_S < float(service()["WatchdogSec"].removesuffix("s"))


def test_what_enrolment_brings_is_handed_over_and_its_absence_is_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = SERVICE.read_text().splitlines()
    loaded = {line.partition(":")[0] for line in lines if line.startswith("LoadCredential=")}
    stands_in = [line for line in lines if line.startswith("SetCredential=")]
    assert {line.partition(":")[0].replace("Set", "Load") for line in stands_in} == loaded
    monkeypatch.setattr(boxfiles, "OWN_SITE_FILE", tmp_path / "own.toml")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    copy = tmp_path / "site.toml"
    copy.write_text(stands_in[0].partition(":")[2].replace("\\n", "\n"))
    assert boxfiles.find_site_file(environ) == boxfiles.OWN_SITE_FILE, (
        "what stands in is no configuration"
    )
    copy.write_text("[site]\n")
    assert boxfiles.find_site_file(environ) == copy
    boxfiles.OWN_SITE_FILE.write_text("[site]\n")
    assert boxfiles.find_site_file(environ) == boxfiles.OWN_SITE_FILE, (
        "the technician's own one counts first"
    )
