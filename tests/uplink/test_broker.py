"""What was configured, as a broker: what cannot work is said with its key and its reason."""

from pathlib import Path

import pytest

from edge.core import ConfigError
from edge.uplink.broker import make_broker
from tests.kit.certificates import CertificateAuthority

TLS = "mqtts://broker.example"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """An authority, a certificate of it, and what is none of these."""
    authority = CertificateAuthority(tmp_path)
    cert, key = authority.issue("gw")
    text = tmp_path / "text"
    text.write_text("no certificate")
    _, other = authority.issue("another")
    return {"ca": authority.path, "cert": cert, "key": key, "text": text, "other": other}


def test_what_is_right_is_a_broker_and_shows_no_secret(files: dict[str, Path]) -> None:
    made = make_broker(
        TLS, "gw", ca=files["ca"], cert=files["cert"], key=files["key"],
        username="gw", password="secret", proxy="http://proxy:3128",
    )  # fmt: skip
    assert (str(made), made.proxy) == ("mqtts://broker.example:8883", ("proxy", 3128))
    assert "secret" not in repr(made)
    assert make_broker("mqtt://h:5", "gw").tls is None


WRONG: list[tuple[str, dict[str, str], str]] = [
    (TLS, {"ca": "missing"}, r"uplink\.ca: .*missing: No such file"),
    (TLS, {"ca": "text"}, r"uplink\.ca: .*text: \w+"),
    (TLS, {"key": "key"}, r"uplink\.key needs uplink\.cert"),
    (TLS, {"cert": "missing", "key": "key"}, r"uplink\.cert: .*missing, .*key: No such file"),
    (TLS, {"cert": "cert"}, r"uplink\.cert: .*gw.crt, .*gw.crt: \[SSL\] PEM"),
    (TLS, {"cert": "cert", "key": "other"}, r"uplink\.cert: .*another.key: KEY_VALUES_MISMATCH"),
    ("mqtt://h", {"ca": "ca"}, "certificates need mqtts"),
    ("mqtt://h", {"cert": "cert"}, "certificates need mqtts"),
    ("mqtt://h", {"key": "key"}, "certificates need mqtts"),
    ("http://h", {}, r"uplink\.url: "),
]


@pytest.mark.parametrize(("url", "given", "why"), WRONG)
def test_what_cannot_work_is_said_with_its_key_and_why(
    files: dict[str, Path], tmp_path: Path, url: str, given: dict[str, str], why: str
) -> None:
    named = {**files, "missing": tmp_path / "missing"}
    places = {name: named[what] for name, what in given.items()}
    with pytest.raises(ConfigError, match=why) as reported:
        make_broker(url, "gw", **places)  # type: ignore[arg-type]
    assert "None" not in str(reported.value)


def test_a_password_needs_a_name_and_a_proxy_an_address() -> None:
    with pytest.raises(ConfigError, match=r"password_file needs uplink\.username"):
        make_broker("mqtt://h", "gw", password="x")
    with pytest.raises(ConfigError, match=r"uplink\.proxy: "):
        make_broker("mqtt://h", "gw", proxy="ftp://x")
