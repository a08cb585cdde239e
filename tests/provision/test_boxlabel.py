"""The label inside the door, and the file of the operator's that it is drawn from."""

import re
import sys
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.core import ConfigError
from edge.core.secrethash import is_secret
from edge.identity.claim import Claim, parse_claim
from edge.identity.pageaccess import make_access
from edge.provision import boxlabel, operatordocs
from tests.kit.command import Command
from tests.kit.enrolment import EnrolmentServer

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


def fields(ca: str) -> dict[str, object]:
    return {
        "site": "s17", "role": "crossing", "gateway": "gw-17", "ca": ca,
        "enrol": "https://localhost:8443", "broker": "mqtts://localhost:8883",
    }  # fmt: skip


@pytest.fixture
def claim(world: EnrolmentServer, tmp_path: Path) -> tuple[Claim, str, bytes]:
    """A claim with access, its secret, and the file."""
    access, secret = make_access()
    made = operatordocs.new_claim(
        tmp_path / "card", Ed25519PrivateKey.generate(),
        {**fields(world.home.ca.read_text()), "access": access}, NOW, 28,
    )  # fmt: skip
    return made.claim, secret, made.path.read_bytes()


def test_the_claim_holds_the_key_and_of_the_secret_only_its_hash(
    claim: tuple[Claim, str, bytes],
) -> None:
    made, secret, data = claim
    assert parse_claim(data).access == made.access
    assert made.access is not None
    assert made.access.wifi_psk.encode() in data
    assert secret.encode() not in data
    assert is_secret(secret, made.access.login_secret)


def test_the_file_is_its_owner_s_and_gives_the_label_again(
    claim: tuple[Claim, str, bytes], tmp_path: Path
) -> None:
    made, secret, _ = claim
    path = boxlabel.keep_label(tmp_path / "labels", made, secret)
    assert path.stat().st_mode & 0o777 == 0o600
    label = boxlabel.load_label(path)
    assert (label.network, label.secret) == ("kerbstone-gw-17", secret)
    assert made.access is not None
    assert label.wifi_psk == made.access.wifi_psk
    with pytest.raises(ConfigError, match="is there already"):
        boxlabel.keep_label(tmp_path / "labels", made, secret)


def test_the_label_has_both_codes_the_texts_and_the_sentence_on_mobile_data(
    claim: tuple[Claim, str, bytes], tmp_path: Path
) -> None:
    segno = pytest.importorskip("segno")
    made, secret, _ = claim
    label = boxlabel.load_label(boxlabel.keep_label(tmp_path, made, secret))
    page = boxlabel.label_page(label)
    for text in (label.network, label.wifi_psk, "https://10.213.47.1/", secret):
        assert f"<b>{text}</b>" in unescape(page)
    assert "mobile data off" in page
    assert "移动数据" in page
    drawn = re.findall(r'<path class="qrline"[^>]* d="([^"]+)"', page)
    wanted = [f"WIFI:T:WPA;S:{label.network};P:{label.wifi_psk};;", "https://10.213.47.1/"]
    for path, text in zip(drawn, wanted, strict=True):
        code = segno.make(text, error="m", micro=False)
        assert path in code.svg_inline(omitsize=True), text
    assert not re.search(r"(src|href|url)\s*[=(]", page), "nothing from elsewhere"


def test_what_stands_in_a_network_s_name_cannot_end_it() -> None:
    assert boxlabel.wifi_text('a;b"c\\', "k:e,y") == r"WIFI:T:WPA;S:a\;b\"c\\;P:k\:e\,y;;"


@pytest.mark.parametrize("text", ["{", '{"gateway": "platform"}', "\xff"])
def test_a_file_that_is_no_label_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "label.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match="no label"):
        boxlabel.load_label(path)


def test_without_the_library_it_says_what_to_install(
    claim: tuple[Claim, str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, secret, _ = claim
    label = boxlabel.load_label(boxlabel.keep_label(tmp_path, made, secret))
    monkeypatch.setitem(sys.modules, "segno", None)
    with pytest.raises(ConfigError, match="segno"):
        boxlabel.write_label_page(label, tmp_path / "label.html")
    assert not (tmp_path / "label.html").exists()


def test_new_says_neither_and_label_draws_them(
    kerbstone: Command, world: EnrolmentServer, tmp_path: Path
) -> None:
    pytest.importorskip("segno")
    key = tmp_path / "operator.key"
    key.write_bytes((world.home.folder / "operator.key").read_bytes())
    key.chmod(0o600)
    words = ["--site", "s17", "--role", "crossing", "--gateway", "gw-17", "--key", key,
             "--enrol", "https://localhost:8443", "--broker", "mqtts://localhost:8883",
             "--ca", world.home.ca, "--out", tmp_path / "card",
             "--labels", tmp_path / "labels"]  # fmt: skip
    said = kerbstone("provision", "new", *words)
    assert said.code == 0, said.err
    (path,) = (tmp_path / "labels").iterdir()
    label = boxlabel.load_label(path)
    assert str(path) in said.out
    for secret in (label.secret, label.wifi_psk):
        assert secret not in said.out + said.err
    assert label.secret not in (tmp_path / "card/kerbstone-claim.toml").read_text()
    drawn = kerbstone("provision", "label", "--access", path, "--out", tmp_path / "door.html")
    assert drawn.code == 0, drawn.err
    assert label.secret not in drawn.out
    assert label.secret in (tmp_path / "door.html").read_text()
    assert (tmp_path / "door.html").stat().st_mode & 0o777 == 0o600
    assert kerbstone("provision", "label", "--access", path, "--out", "x.svg").code == 2
    assert kerbstone("provision", "label").code == 2
    again = [*words[:-3], tmp_path / "other", "--labels", tmp_path / "labels", "--without-access"]
    assert kerbstone("provision", "new", *again).code == 0
    assert parse_claim((tmp_path / "other/kerbstone-claim.toml").read_bytes()).access is None
