"""`check` refuses what `run` could not use: certificate files that are here and are none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.cli.main import main


def test_a_certificate_that_is_none_is_found_at_the_desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("garbage")
        (tmp_path / name).chmod(0o600)
    file = tmp_path / "site.toml"
    file.write_text(
        '[site]\nid = "s"\ngateway = "g"\n[uplink]\nurl = "mqtts://localhost"\n'
        f'confirm = "broker"\nca = "{tmp_path}/ca.pem"\n'
        f'cert = "{tmp_path}/cert.pem"\nkey = "{tmp_path}/key.pem"\n'
    )
    assert main(["check", str(file)]) == 2
    said = capsys.readouterr().err
    assert f"{file}:7: uplink.ca: {tmp_path}/ca.pem" in said
    assert main(["run", str(file)]) == 2  # and `run` says the same instead of a traceback
    assert "uplink.ca" in capsys.readouterr().err


SITE = """\
[site]
id = "s"
gateway = "g"
[uplink]
url = "mqtt://localhost"
confirm = "broker"
[store]
dir = "{0}/outbox"
run_dir = "{0}/run"
[bus.air]
kind = "i2c"
[device.hut]
driver = "sen55"
bus = "air"
[calibration.pm]
device = "hut"
point = "pm2_5"
by = "City laboratory"
on = 2026-03-02
until = 2027-03-01
kappa = 0.3
humidity = "hut.pm10"
[bus.meters]
kind = "serial"
port = "/dev/ttyS9"
[device.heat]
driver = "iec62056"
bus = "meters"
"""


def test_what_only_built_devices_tell_is_told_by_check_as_by_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "site.toml"
    file.write_text(SITE.format(tmp_path))
    message = f"{file}:22: calibration.pm.humidity: hut.pm10 is mass concentration in ug/m3, not"
    for verb in ("check", "run"):
        assert main([verb, str(file)]) == 2
        assert capsys.readouterr().err.startswith(message)
    assert not (tmp_path / "outbox").exists()


def test_what_a_driver_refuses_itself_is_no_traceback_in_any_verb(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "site.toml"
    file.write_text(SITE.format(tmp_path).replace("hut.pm10", "hut.humidity") + "address = 'a!b'\n")
    for words in (["run", str(file)], ["read", "hut", "--config", str(file)]):
        assert main(words) == 2
        assert capsys.readouterr().err.startswith(f"kerbstone {words[0]}: ")


@pytest.mark.parametrize(("today", "warnings"), [("2026-06-01", 0), ("2027-02-15", 1)])
def test_a_certificate_that_ends_soon_is_a_warning(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    on_day: Callable[[str], None],
    today: str,
    warnings: int,
) -> None:
    file = tmp_path / "site.toml"
    file.write_text(SITE.format(tmp_path).replace("hut.pm10", "hut.humidity"))
    on_day(today)
    assert main(["check", str(file)]) == 0
    err = capsys.readouterr().err
    message = f"warning: {file}:20: calibration.pm.until: 2027-03-01 is the last day on which it"
    assert err.count("warning: ") == err.count(message) == warnings
