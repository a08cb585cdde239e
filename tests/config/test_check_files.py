"""`check` refuses what `run` could not use: certificate files that are here and are none."""

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
