"""Devices, buses and loops as open issues: what is told, of whom, and with which remedy."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge.acquire.badpoints import BadPoint
from edge.core import Reason
from edge.gateway.issuefindings import loop_findings
from edge.wire.contract.health import Health
from tests.gateway.brokenparts import WELL, fault, looked
from tests.gateway.issueparts import Polled, S, at

STUCK = "/dev/i2c-1 is stuck; switch the sensors off and on"
AWAY = "no device answers at 0x"


def test_one_failed_read_is_an_issue_where_the_next_one_is_far(tmp_path: Path) -> None:
    seldom = Polled("hut", Reason.SILENT, "no answer", failures=1, every_ns=3600 * S)
    parts = replace(WELL, device=seldom)
    watch = looked(parts.watch(tmp_path), parts, 100)
    assert [each.kind for each in watch.issues] == ["device_fails"]
    parts.device = Polled("hut", Reason.SILENT, "no answer", failures=1)
    assert len(looked(watch, parts, 105).issues), "it has not answered since"


@pytest.mark.parametrize(
    ("own", "other", "told"),
    [
        ((Reason.SILENT, STUCK), (Reason.SILENT, STUCK), ["bus_fails"]),
        ((Reason.SILENT, f"{AWAY}44"), (Reason.SILENT, f"{AWAY}69"), ["bus_fails"]),
        ((Reason.CRC, "damaged"), (Reason.SILENT, "no answer"), ["bus_fails"]),
        ((Reason.BUSY, "never quiet"), (Reason.BUSY, "never quiet"), ["bus_fails"]),
        ((Reason.FAULT, "broken"), (Reason.FAULT, "broken"), ["device_fails"] * 2),
        ((Reason.SILENT, STUCK), (None, ""), ["device_fails"]),
        ((Reason.FAULT, "broken"), (Reason.SILENT, "no answer"), ["device_fails"] * 2),
    ],
)
def test_what_all_devices_of_a_bus_share_is_told_once(
    tmp_path: Path, own: tuple[Reason, str], other: tuple[Reason | None, str], told: list[str]
) -> None:
    parts = replace(WELL, device=Polled("hut", *own), neighbours=(Polled("roof", *other),))
    watch = looked(parts.watch(tmp_path), parts, 100)
    assert [each.kind for each in watch.issues] == told
    if told == ["bus_fails"]:
        (one,) = watch.issues
        assert one.cause.startswith("bus air: ")
        assert one.cause.endswith("no values of hut, roof.")
        assert one.remedy.endswith("`kerbstone doctor air` says more.")
        parts.neighbours = (Polled("roof"),)
        parts.problems = {"hut": own[1]}
        looked(watch, parts, 105)
        assert [each.kind for each in watch.issues] == ["device_fails"]


def test_a_bus_that_answers_is_well_before_all_of_its_devices_were_asked(tmp_path: Path) -> None:
    """After a start one of them may be read in an hour only."""
    hut, roof = (Polled(name, Reason.SILENT, STUCK) for name in ("hut", "roof"))
    parts = replace(WELL, device=hut, neighbours=(roof,))
    watch = looked(parts.watch(tmp_path), parts, 100)
    assert [each.kind for each in watch.issues] == ["bus_fails"]
    parts.device, parts.neighbours = Polled("hut", reads=0), (Polled("roof", reads=0),)
    assert len(looked(watch, parts, 105).issues) == 1
    parts.device = Polled("hut")
    assert not len(looked(watch, parts, 110).issues)


def test_a_bus_is_not_blamed_for_what_may_pass(tmp_path: Path) -> None:
    hut, roof = (Polled(name, Reason.SILENT, STUCK, failures=1) for name in ("hut", "roof"))
    parts = replace(WELL, device=hut, neighbours=(roof,))
    assert not len(looked(parts.watch(tmp_path), parts, 100).issues)


@pytest.mark.parametrize(("word", "minutes"), [("stuck_on", 5), ("swapped", 30)])
def test_a_loop_that_is_mended_is_said_to_stay_for_some_minutes(
    tmp_path: Path, word: str, minutes: int
) -> None:
    ends = f"Measure it. Once mended, this closes after {minutes} min of sound traffic."
    parts = replace(WELL, events=[fault("on", fault=word, part="lead")])
    (one,) = looked(parts.watch(tmp_path), parts, 100).issues
    assert one.remedy == ends
    known = {("north_1", "lead", word): "north_1: the lead loop is silent; measure it."}
    (after,) = loop_findings(known)
    assert after.remedy == ends


def test_a_device_may_be_called_configuration(tmp_path: Path) -> None:
    name = "configuration"
    device = Polled(name, Reason.SILENT, "no answer")
    parts = replace(WELL, device=device, problems={name: "no answer"})
    watch = looked(parts.watch(tmp_path), parts, 100)
    assert [each.kind for each in watch.issues] == ["device_fails"]


def test_a_contradiction_of_a_device_that_is_given_up_is_over(tmp_path: Path) -> None:
    watch = WELL.watch(tmp_path)
    watch.see_events([fault("on", fault="phase_sum", points=["power"])], at(1))
    watch.see_events([fault("off", fault="phase_sum")], at(2))  # as edge.process.snapshot ends it
    assert not len(watch.issues)


def test_a_broken_device_is_told_with_the_remedy_of_its_reason(tmp_path: Path) -> None:
    def remedy(text: str, reason: Reason) -> str:
        parts = replace(WELL, device=Polled("hut", reason, text))
        (one,) = looked(parts.watch(tmp_path), parts, 100).issues
        assert one.cause.startswith("hut: ")
        return one.remedy

    assert remedy("no device answers", Reason.SILENT) == (
        "Check its supply, its plug and its wires. `kerbstone doctor hut` says more."
    )
    assert remedy("no port; plug it in", Reason.FAULT).startswith("Plug it in. `kerbstone")
    assert remedy("no port; is it on?", Reason.FAULT).startswith("Is it on? `kerbstone")
    assert remedy("no bus; ls /dev/i2c-* shows it", Reason.FAULT).startswith("ls /dev/i2c-* shows")


def test_values_that_time_does_not_bring_are_told_within_minutes(tmp_path: Path) -> None:
    none = Polled("hut", unsettled=Reason.RANGE, unsettled_since_ns=20 * S, settle_limit_ns=900 * S)
    parts = replace(WELL, device=none)
    watch = looked(parts.watch(tmp_path), parts, 70)
    assert not len(watch.issues)
    (told,) = looked(watch, parts, 81).issues
    assert told.kind == "device_unsettled"
    assert "its values are impossible" in told.remedy.lower()
    parts.device = replace(none, unsettled=Reason.STALE)
    assert not len(looked(parts.watch(tmp_path), parts, 81).issues), "a second may bring it"


@pytest.mark.parametrize(
    ("returns", "seconds", "opens"),
    [
        ((), 100, True),
        ((90,), 100, False),  # it was told while it was away
        ((90,), 90 + 3600, True),
        ((70, 80, 90), 100, True),  # it comes and goes
    ],
)
def test_an_outage_that_is_over_is_no_device_that_fails_often(
    returns: tuple[int, ...], seconds: int, opens: bool, tmp_path: Path
) -> None:
    back = Polled("hut", returns=tuple(at_s * S for at_s in returns))
    parts = replace(WELL, device=back, health=Health(device_error_ratio={"hut": 1.0}))
    found = [each.kind for each in looked(parts.watch(tmp_path), parts, seconds).issues]
    assert found == (["device_errors"] if opens else [])


def test_who_failed_with_its_bus_is_asked_once_more_when_the_bus_is_back(tmp_path: Path) -> None:
    silent = Polled("roof", Reason.SILENT, "no device answers at 0x69", failed_ns=80 * S)
    parts = replace(WELL, device=Polled("hut", returns=(85 * S,)), neighbours=(silent,))
    watch = looked(parts.watch(tmp_path), parts, 100)
    assert not len(watch.issues)
    parts.neighbours = (replace(silent, failed_ns=86 * S),)
    assert [each.kind for each in looked(watch, parts, 110).issues] == ["device_fails"]


def test_loops_that_are_swapped_are_one_issue(tmp_path: Path) -> None:
    both = [fault("on", fault="swapped", part=part) for part in ("lead", "trail")]
    parts = replace(WELL, events=both)
    watch = looked(parts.watch(tmp_path), parts, 100)
    assert [each.about for each in watch.issues] == ["north_1 swapped"]
    told = {("north_1", part, "swapped"): "They are; swap them." for part in ("lead", "trail")}
    assert {each.about for each in loop_findings(told)} == {"north_1 swapped"}
    crossed = [fault("on", fault="crosstalk", part=part) for part in ("lead", "trail")]
    watch.see_events(crossed, at(101))
    assert len(watch.issues) == 3, "each loop may have its own"


def test_points_without_a_value_are_named(tmp_path: Path) -> None:
    bad = {f"p{number}": BadPoint(Reason.RANGE, 0) for number in range(8)}
    bad["q"] = BadPoint(Reason.FAULT, 0)
    parts = replace(WELL, device=Polled("hut", point_count=12, bad=bad))
    (told,) = looked(parts.watch(tmp_path), parts, 100).issues
    assert told.cause == (
        "8 of 12 points of hut have no value (range): p0, p1, p2, p3, p4, p5, and 3 others."
    )
