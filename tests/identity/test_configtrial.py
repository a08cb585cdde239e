"""A signed configuration that this version cannot use does not replace the one that works.

`kerbstone check` is run as it is, in a process of its own; the enrolment server is the real one.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.identity.configtrial import why_unusable
from tests.identity.enrolling_box import NappingClock, date
from tests.identity.proposing_box import ProposingGateway, proposed, sign
from tests.identity.real_server import ApprovingServer

GOOD = '[site]\nid = "s17"\ngateway = "gw-0001"\n[uplink]\nurl = "mqtts://broker.example:8883"\n'
NEWER = f'{GOOD}[bus.i2c]\nkind = "i2c"\n[device.air]\ndriver = "sht9x"\nbus = "i2c"\n'


@pytest.fixture
def town(tmp_path: Path) -> Iterator[ApprovingServer]:
    made = ApprovingServer(tmp_path)
    made.start()
    yield made
    made.close()


@pytest.fixture
def box(town: ApprovingServer, tmp_path: Path) -> ProposingGateway:
    made = ProposingGateway(town.card(tmp_path / "1", "gw-0001"), NappingClock(date(1970)))
    made.why = why_unusable
    return made


def test_check_says_what_is_wrong_first_and_how_much_more() -> None:
    assert why_unusable(GOOD) == ""
    said = why_unusable(NEWER)
    assert said.startswith("line 9: device.air.driver: ")
    assert "(and 3 more)" in why_unusable(f"{NEWER}[lane.x]\n")
    assert "line " in why_unusable("[site")


@pytest.mark.parametrize(
    "program", ["/bin/false", "/nowhere/python", "/bin/true"]
)  # fmt: skip
def test_where_nobody_can_say_it_is_taken(
    program: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Out of memory, or a fault of ours: a box must not stay without a configuration for that."""
    monkeypatch.setattr("sys.executable", program)
    assert why_unusable(NEWER) == ""
    assert ("taken unchecked" in caplog.text) == (program != "/bin/true")


def test_without_room_for_the_file_it_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    assert why_unusable(NEWER) == ""


def test_the_last_good_one_stays_and_both_are_told(
    town: ApprovingServer, box: ProposingGateway
) -> None:
    sign(town, GOOD)
    assert box.power().run() == "enrolled"
    box.propose(GOOD.replace("8883", "8884"))
    assert box.renewal().ask() == "fine"
    town.now = town.now.replace(hour=13)
    sign(town, NEWER)
    renewal = box.renewal()
    assert renewal.ask() == "fine"
    assert box.site == GOOD.encode()
    assert box.restarts == 0
    assert "cannot be used here: line 9: device.air.driver" in box.status
    assert box.refused.startswith("number ")
    assert ": line 9: device.air.driver: " in box.refused, "the daemon makes an open issue of it"
    restarted = box.power()
    assert restarted.run() == "enrolled"
    assert box.refused, "what is here is in order, and not what the operator wants"
    (kept,) = town.home.reports.all()
    assert kept.report.error.startswith("line 9: device.air.driver")
    (town.home.reports.folder / "gw-0001.json").unlink()
    assert renewal.ask() == "fine"
    assert town.home.reports.all() == [], "told once"
    town.now = town.now.replace(hour=14)
    sign(town, proposed(town))
    assert renewal.ask() == "configured"
    assert box.progress[0] == "signed"
    assert box.refused == ""


def test_a_refused_one_that_the_operator_withdraws_is_forgotten(
    town: ApprovingServer, box: ProposingGateway
) -> None:
    sign(town, GOOD)
    assert box.power().run() == "enrolled"
    before = (town.home.configs / "gw-0001.json").read_bytes()
    town.now = town.now.replace(hour=13)
    sign(town, NEWER)
    assert box.renewal().run() == "fine"
    assert box.refused
    (town.home.configs / "gw-0001.json").write_bytes(before)
    assert box.renewal().run() == "fine"
    assert box.refused == ""


def test_a_first_configuration_that_cannot_be_used_is_waited_over(
    town: ApprovingServer, box: ProposingGateway
) -> None:
    sign(town, NEWER)
    seen: list[str] = []

    def mend() -> None:
        if "cannot be used here" in box.status and not seen:
            seen.append(box.status)
            assert [each.gateway for each in town.home.reports.all()] == ["gw-0001"]
            town.now = town.now.replace(hour=13)
            sign(town, GOOD)

    box.clock.then = mend
    assert box.power().run() == "enrolled"
    assert box.site == GOOD.encode()
    assert "waits for:   its configuration" in seen[0]
