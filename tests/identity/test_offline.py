"""The way by a USB stick: the request goes out, the operator signs it, the identity comes in."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.cli.main import main as kerbstone
from edge.core import ConfigError
from edge.identity import certs, offline
from edge.identity.claim import CLAIM_NAME
from edge.identity.names import comparison_code
from edge.identity.offline import CERTIFICATE, CONFIG, REQUEST
from edge.identity.statefolder import StateFolder
from edge.provision import operatordocs
from tests.identity.card import everything, tree, wrong
from tests.identity.city import EnrolmentCity
from tests.identity.enrolling_box import EnrollingGateway, NappingClock
from tests.identity.real_server import SITE, ApprovingServer, claim_of
from tests.identity.secret import decoded, forms

NOW = datetime.now(UTC).replace(microsecond=0)  # the operator's command has a clock of its own


@pytest.fixture
def town(tmp_path: Path) -> Iterator[ApprovingServer]:
    made = ApprovingServer(tmp_path, start=NOW)
    made.patient = frozenset({"gw-0001", "gw-0002"})
    made.start()
    yield made
    made.close()


@pytest.fixture
def box(tmp_path: Path, town: ApprovingServer) -> EnrollingGateway:
    return boxed(tmp_path / "box", town, "gw-0001")


def boxed(root: Path, town: ApprovingServer, gateway: str) -> EnrollingGateway:
    made = EnrollingGateway(town.card(root, gateway), EnrolmentCity(), NappingClock())
    made.ask = lambda question, watch: pytest.fail("it has no network")
    return made


def insert(box: EnrollingGateway, stick: Path) -> offline.Outcome:
    return offline.enrol_offline(box.power(), stick)


def signs(town: ApprovingServer, stick: Path, *more: str) -> int:
    return kerbstone(["provision", "offline", str(stick), "--dir", str(town.home.folder), *more])


def code(box: EnrollingGateway) -> str:
    return comparison_code(StateFolder(box.state).next_key(False).spki())


def test_an_identity_comes_on_a_stick_and_the_key_never_goes_there(
    box: EnrollingGateway, town: ApprovingServer, stick: Path
) -> None:
    secret = claim_of(box.root).code
    assert insert(box, stick) == "asked"
    assert {each.name for each in stick.iterdir()} == {CLAIM_NAME, REQUEST}
    assert code(box) in box.status
    assert "kerbstone provision offline" in box.status
    assert insert(box, stick) == "asked", "once more is no harm"
    assert signs(town, stick, "--code", code(box)) == 0
    key = StateFolder(box.state).next_key(False).pem
    assert insert(box, stick) == "enrolled"
    assert wrong(box.root, secret) == []
    assert (box.state / "site.toml").read_text() == SITE.format("gw-0001")
    for form in [*forms(key), secret.encode()]:
        assert form not in decoded(everything(stick) + everything(box.boot))
    before = tree(box.root)
    assert insert(box, stick) == "enrolled", "the same stick again changes nothing"
    assert tree(box.root) == before


def test_another_code_signs_nothing(
    box: EnrollingGateway, town: ApprovingServer, stick: Path
) -> None:
    assert insert(box, stick) == "asked"
    assert signs(town, stick, "--code", "AAAA-AAAA") == 1
    assert {each.name for each in stick.iterdir()} == {CLAIM_NAME, REQUEST}


def test_a_box_whose_card_is_empty_takes_the_claim_of_the_stick(
    box: EnrollingGateway, town: ApprovingServer, stick: Path
) -> None:
    (box.boot / CLAIM_NAME).rename(stick / CLAIM_NAME)
    assert insert(box, stick) == "asked"
    assert signs(town, stick) == 0
    assert insert(box, stick) == "enrolled"
    assert not (stick / CLAIM_NAME).exists()
    assert (stick / "kerbstone-claim.used").exists()


def test_without_a_claim_anywhere_it_says_so(box: EnrollingGateway, stick: Path) -> None:
    (box.boot / CLAIM_NAME).unlink()
    assert insert(box, stick) == "no claim"
    assert list(stick.iterdir()) == []


def test_the_stick_of_another_box_is_refused_and_left_as_it_is(
    tmp_path: Path, box: EnrollingGateway, town: ApprovingServer, stick: Path
) -> None:
    other = boxed(tmp_path / "other", town, "gw-0002")
    assert insert(other, stick) == "asked"
    assert signs(town, stick) == 0
    before = tree(stick)
    with pytest.raises(offline.OfflineError, match="use an empty stick"):
        insert(box, stick)
    assert tree(stick) == before
    assert StateFolder(box.state).numbers() == set()
    assert insert(other, stick) == "enrolled", "it is still good for its own"


def test_what_was_good_for_a_former_key_is_not_taken_again(
    box: EnrollingGateway, town: ApprovingServer, stick: Path
) -> None:
    assert insert(box, stick) == "asked"
    assert signs(town, stick) == 0
    kept = {each.name: each.read_bytes() for each in stick.iterdir()}
    assert insert(box, stick) == "enrolled"
    StateFolder(box.state).forget()
    for name, data in kept.items():
        (stick / name).write_bytes(data)
    with pytest.raises(offline.OfflineError, match="somebody else's key"):
        insert(box, stick)
    (stick / CERTIFICATE).unlink()
    assert insert(box, stick) == "asked"
    assert signs(town, stick) == 1, "the claim belongs to the key that is gone"


def test_a_claim_that_has_expired_is_signed_by_nobody(
    box: EnrollingGateway, town: ApprovingServer, stick: Path
) -> None:
    town.now = NOW - timedelta(days=40)
    (box.boot / CLAIM_NAME).write_bytes(town.claim(gateway="gw-0001", days=28))
    assert insert(box, stick) == "asked"
    assert signs(town, stick) == 1
    assert not (stick / CERTIFICATE).exists()


@pytest.mark.parametrize("kind", ["torn", "empty", "of another site", "of nobody", "missing"])
def test_a_configuration_that_is_not_for_us_is_asked_for_again(
    box: EnrollingGateway, town: ApprovingServer, stick: Path, kind: str
) -> None:
    insert(box, stick)
    assert signs(town, stick) == 0
    good = (stick / CONFIG).read_bytes()
    signed = json.loads(good)
    altered = {**signed, "config": signed["config"].replace("s17", "s18")}
    bad = {
        "torn": good[: len(good) // 2], "empty": b"", "of nobody": json.dumps(altered).encode(),
        "of another site": EnrolmentCity().config("gw-0001", town.operator, site="s18"),
    }  # fmt: skip
    (stick / CONFIG).unlink()
    if kind in bad:
        (stick / CONFIG).write_bytes(bad[kind])
    with pytest.raises(ConfigError, match=r"configuration|kerbstone-config"):
        insert(box, stick)
    assert not (box.state / "site.toml").exists()
    assert (box.boot / CLAIM_NAME).exists(), "the claim is kept until all has come"
    (stick / CONFIG).write_bytes(good)
    assert insert(box, stick) == "enrolled"


@pytest.mark.parametrize("cut", [0, 1, 40, 300])
def test_a_torn_certificate_is_refused(
    box: EnrollingGateway, town: ApprovingServer, stick: Path, cut: int
) -> None:
    insert(box, stick)
    assert signs(town, stick) == 0
    good = (stick / CERTIFICATE).read_bytes()
    (stick / CERTIFICATE).write_bytes(good[:cut])
    with pytest.raises(offline.OfflineError):
        insert(box, stick)
    assert StateFolder(box.state).numbers() == set()
    (stick / CERTIFICATE).write_bytes(good)
    assert insert(box, stick) == "enrolled"
    bundle = StateFolder(box.state).current()
    assert bundle is not None
    assert certs.certificate_key(bundle.certificate)


def test_a_changed_configuration_comes_on_a_stick_too(
    box: EnrollingGateway, town: ApprovingServer, stick: Path
) -> None:
    insert(box, stick)
    assert signs(town, stick) == 0
    assert insert(box, stick) == "enrolled"
    site, former = town.folder / "site.toml", (stick / CONFIG).read_bytes()
    site.write_text(f"{site.read_text()}# wired anew\n")
    made, _ = operatordocs.sign_config(
        site, "gw-0001", town.operator, stick, town.now + timedelta(hours=1)
    )
    made.rename(stick / CONFIG)
    assert insert(box, stick) == "enrolled"
    assert (box.state / "site.toml").read_text().endswith("# wired anew\n")
    (stick / CONFIG).write_bytes(former)
    with pytest.raises(ConfigError, match="is here already"):
        insert(box, stick)
    (stick / CONFIG).unlink()
    assert insert(box, stick) == "enrolled", "a stick need not bring one"
