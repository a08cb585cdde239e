"""The signed configuration of an enrolled box: which one is taken, and who hears of it."""

import json
from datetime import timedelta
from functools import partial

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.identity.statefolder import StateFolder
from tests.identity.city import Answer
from tests.identity.enrolling_box import EnrollingGateway


def test_a_configuration_that_was_changed_is_taken_and_one_that_is_not_ours_is_not(
    box: EnrollingGateway,
) -> None:
    box.power().run()
    assert box.renewal().run() == "fine"
    site = box.state / "site.toml"
    box.city.more, box.city.serial = "# wired anew\n", box.city.serial + 1
    assert box.renewal().run() == "configured"
    assert site.read_text().endswith("# wired anew\n")
    assert box.renewal().run() == "fine"
    before, ours = site.read_text(), box.city.config
    box.city.config = partial(ours, site="s18")  # type: ignore[method-assign]
    assert box.renewal().run() == "fine"
    box.city.config = partial(ours, key=Ed25519PrivateKey.generate())  # type: ignore[method-assign]
    assert box.renewal().run() == "fine"
    assert site.read_text() == before
    assert box.wrong() == []


@pytest.mark.parametrize("step", [-1, 0])
def test_a_configuration_that_was_replaced_does_not_come_back(
    box: EnrollingGateway, step: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The server has all that an operator ever signed; only an operator may go back to it."""
    box.power().run()
    former, box.city.more = (box.state / "site.toml").read_text(), "# wired anew\n"
    box.city.serial += step
    assert box.renewal().run() == "fine"
    assert (box.state / "site.toml").read_text() == former
    assert "is here already" in caplog.text
    assert "has to sign" in box.status
    box.city.serial += 1 - step
    assert box.renewal().run() == "configured"
    assert "has to sign" not in box.status
    assert box.wrong() == []


def test_the_number_of_a_configuration_is_signed(box: EnrollingGateway) -> None:
    box.power().run()
    old, genuine = json.loads(box.city.config("gw-0001")), box.city.config
    old["serial"] += 100
    box.city.config = lambda *_: json.dumps(old).encode()  # type: ignore[method-assign]
    held = (box.state / "config.json").read_bytes()
    assert box.renewal().run() == "fine"
    assert (box.state / "config.json").read_bytes() == held == genuine("gw-0001")


def test_word_is_left_before_the_daemons_file_is_another(box: EnrollingGateway) -> None:
    """Who is killed in between has left it; else the daemon would run the former for ever."""
    box.power().run()
    site, seen = box.state / "site.toml", []
    former = site.read_text()
    box.city.more, box.city.serial = "# wired anew\n", box.city.serial + 1
    renewal = box.renewal()
    renewal.changing = lambda: seen.append(site.read_text())
    assert renewal.run() == "configured"
    assert renewal.run() == "fine"
    assert seen == [former]


def test_a_box_whose_renewal_is_refused_still_takes_its_configuration(
    box: EnrollingGateway,
) -> None:
    def refused(name: str, answer: Answer) -> Answer:
        return (503, {}, b"") if name == "simplereenroll" else answer

    box.power().run()
    box.wire.changed = refused
    box.city.now += timedelta(days=45)  # due at two thirds of 60
    box.city.more, box.city.serial = "# wired anew\n", box.city.serial + 1
    assert box.renewal().run() == "trouble"
    assert "a new certificate" in box.status
    assert (box.state / "site.toml").read_text().endswith("# wired anew\n")
    assert StateFolder(box.state).numbers() == {1}
