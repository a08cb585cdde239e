"""Every kind of open issue: found, told in every place, known after a restart, and gone again."""

import asyncio
import json
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import msgpack
import msgspec
import pytest

import drivers
from edge.acquire.badpoints import BadPoint
from edge.config import load_site
from edge.core import Condition, Reason, TimeQuality
from edge.core.humanize import as_sentence
from edge.diagnose.diagnosis import make_exams
from edge.diagnose.issueresults import issue_results
from edge.diagnose.passivechecks import fill_from_status
from edge.gateway.datasaver import SaverLevel
from edge.gateway.issuewatch import (
    STATUS_WORDS,
    STATUSES_PER_HOUR,
    IssueWatch,
    issue_status,
    issues_about,
    issues_for_people,
)
from edge.gateway.linkfindings import budget_findings
from edge.health.issuekinds import ISSUE_KINDS
from edge.health.openissues import IssueFinding, issue_family
from edge.health.openmetrics import render
from edge.report.status.issues import listed_issues, verdict_line
from edge.uplink.delivery import ConnectionState
from edge.wire.contract.health import Health
from edge.wire.contract.issues import IssueName, OpenIssueStatus
from tests.gateway.brokenparts import (
    BROKEN,
    COUNTS,
    LINK_TROUBLES,
    MENDED,
    WELL,
    fault,
    looked,
    model,
)
from tests.gateway.issueparts import DAY, WALL, Parts, Polled, S, at, made_certificate

SITE = """
[site]
id = "quay"
gateway = "gw-1"
[uplink]
url = "mqtt://localhost:1883"
[bus.loops]
kind = "gpio"
chip = "/dev/gpiochip99"
[lane.north_1]
approach = "north"
bus = "loops"
lead = "a"
"""


def test_each_kind_is_walked() -> None:
    assert set(BROKEN) == set(get_args(IssueName))


def test_a_gateway_that_is_well_has_none(tmp_path: Path) -> None:
    assert not len(looked(WELL.watch(tmp_path), WELL, 100).issues)


@pytest.mark.parametrize("kind", BROKEN)
def test_each_is_told_everywhere_known_again_and_goes(
    kind: IssueName, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO, "kerbstone")
    parts = replace(WELL, **BROKEN[kind])
    watch = looked(parts.watch(tmp_path), parts, 100)
    assert_told(watch, kind, tmp_path)
    assert [f"issue {kind} " in each.getMessage() for each in caplog.records] == [True]

    kept = json.loads(json.dumps(watch.to_keep(at(101))["issues"]))
    assert not watch.to_keep(at(102)), "nothing has changed since"
    mended = replace(WELL, up=parts.told, **MENDED.get(kind, {}))
    for boot, then in ((3, 110.0), (4, 50.0)):
        caplog.clear()
        after = mended.watch(tmp_path, boot)
        after.restore(kept, at(then))
        assert_told(after, kind, tmp_path)
        looked(after, mended, then)
        if lasts_s := ISSUE_KINDS[kind].lasts_s:  # what happened needs somebody for a day
            assert [each.kind for each in after.issues] == [kind]
            looked(after, mended, then + lasts_s)
        assert_told(after, None, tmp_path)
        assert [" is over: " in each.getMessage() for each in caplog.records] == [True]


def assert_told(watch: IssueWatch, kind: IssueName | None, folder: Path) -> None:
    """In each place that reads the list: it alone, or nothing at all."""
    now = at(1000)
    status = {"issues": issues_for_people(watch.issues, now)}
    listed = listed_issues(status)
    verdict = verdict_line(listed, "gw-1")
    sent = msgspec.json.decode(
        msgspec.json.encode(issue_status(watch.issues, now)), type=list[OpenIssueStatus]
    )
    metric = render([issue_family(watch.issues)])
    (folder / "site.toml").write_text(SITE, "utf-8")
    exams = make_exams(load_site(folder / "site.toml", drivers.catalogue()), [])
    doctor = [
        *issue_results(fill_from_status(exams, status)),
        *(each for exam in exams for each in exam.results()),
    ]
    told = [each.cause for each in doctor if each.is_wrong]
    if kind is None:
        assert (listed, sent, watch.faults, told) == ([], [], 0, [])
        assert verdict == "OK: gw-1: nothing needs attention"
        assert "open_issue" not in metric
        return
    (one,) = watch.issues
    known = ISSUE_KINDS[kind]
    assert verdict == f"ATTENTION: gw-1: {one.short}"[:80]
    assert one.cause.endswith(".")
    assert one.cause in listed[0].text
    assert one.remedy in listed[0].text
    assert ("does not know it yet" in listed[0].text) is (kind != "no_broker")
    assert [(each.kind, each.about, each.severity) for each in sent] == [
        (kind, one.about, known.severity)
    ]
    assert f'kerbstone_open_issue{{about="{one.about}",kind="{kind}"' in metric
    flashes = known.area in ("devices", "events") or known.severity == "fault"
    assert watch.faults == (flashes and kind != "no_broker")
    assert [one.cause.rstrip(".")] == [each.rstrip(".") for each in told]


@pytest.mark.parametrize(
    "parts",
    [
        {"device": Polled("hut", Reason.WARMUP, "warming up")},
        {"device": Polled("hut", health={Condition.CLEANING: "it blows itself clean"})},
        {"device": Polled("hut", Reason.CRC, "damaged", failures=1)},  # the next read is soon
        {
            "device": Polled("hut", Reason.BUSY, "busy, says the device", failures=5),
            "problems": {"hut": "busy, says the device"},
        },
        {"device": Polled("hut", unsettled=Reason.WARMUP, unsettled_since_ns=50 * S)},
        {"device": Polled("hut", bad={"humidity": BadPoint(Reason.RANGE, 50 * S)})},
        {"failures": 1, **model(answers="rule", why="late: 900 ms")},
        {**model(answers="rule", why="not loaded yet")},
        {"link": ConnectionState(0, "mqtts://b:8883")},  # the first broker may be restarted
        {"connected": False, "link": ConnectionState(90 * S)},  # it has just gone
        {"start": ("power", "The power was cut.")},
        {"health": Health(device_error_ratio={"hut": 0.05})},
    ],
)
def test_what_only_needs_time_needs_nobody(parts: dict[str, Any], tmp_path: Path) -> None:
    some = replace(WELL, **parts)
    assert [each.kind for each in looked(some.watch(tmp_path), some, 100).issues] == []


@pytest.mark.parametrize(
    ("kind", "young"),
    [
        ("no_broker", {"connected": False, "link": ConnectionState(40 * S)}),
        *(
            (kind, {"link": ConnectionState(40 * S), "receipt_s": BROKEN[kind].get("receipt_s")})
            for kind in LINK_TROUBLES
        ),
        ("on_fallback", {"link": ConnectionState(0, "mqtts://b:8883")}),  # the first was tried
        ("on_fallback", {"connected": False, "link": ConnectionState(40 * S)}),
        ("data_budget", {"saver": SaverLevel()}),  # nobody has counted yet
        ("model_fails", model(answers="rule", why="not loaded yet")),
        ("model_drift", model(answers="rule", why="not loaded yet", drift=None)),
        ("configuration_unusable", {"box": None}),  # enrolment has not looked since the boot
        ("values_bad", {"device": Polled("hut", reads=0)}),
        ("device_unsettled", {"device": Polled("hut", reads=0)}),
        ("device_reports", {"device": Polled("hut", reads=0)}),
        (
            "device_reports",
            {"device": Polled("hut", Reason.SILENT, "no answer", failures=1, reads=0)},
        ),
        ("device_fails", {"device": Polled("hut", reads=0)}),
        ("bus_fails", {"device": Polled("hut", reads=0), "neighbours": (Polled("roof", reads=0),)}),
        (
            "bus_fails",  # the first has failed once, the other one was not asked yet
            {
                "device": Polled("hut", Reason.SILENT, "no answer", failures=1, reads=0),
                "neighbours": (Polled("roof", reads=0),),
            },
        ),
        ("device_errors", {"health": Health()}),  # no read is counted yet
    ],
)
def test_a_start_that_cannot_know_yet_leaves_open_what_was(
    kind: IssueName, young: dict[str, Any], tmp_path: Path
) -> None:
    parts = replace(WELL, **BROKEN[kind])
    kept = looked(parts.watch(tmp_path), parts, 100).to_keep(at(100))["issues"]
    start = replace(WELL, up=parts.told, **young)
    after = start.watch(tmp_path, 4)
    after.restore(json.loads(json.dumps(kept)), at(40))
    looked(after, start, 45)
    assert [each.kind for each in after.issues] == [kind]


def test_a_certificate_that_has_ended_stays_so_while_the_time_is_not_known(tmp_path: Path) -> None:
    parts = replace(WELL, ends_in_s=60)
    watch = looked(parts.watch(tmp_path), parts, 100)
    asyncio.run(watch.look(replace(at(110), tq=TimeQuality.NONE)))
    assert [each.kind for each in watch.issues] == ["certificate_expired"]


def test_a_new_certificate_ends_the_issue_of_the_old_one_at_the_next_look(tmp_path: Path) -> None:
    parts = replace(WELL, ends_in_s=60)
    watch = looked(parts.watch(tmp_path), parts, 100)
    made = tmp_path / "own.new"
    made.write_bytes(made_certificate(WALL // S + 300 * DAY))
    made.rename(tmp_path / "own.pem")
    assert not len(looked(watch, parts, 105).issues)


def test_texts_of_strangers_are_one_line_and_the_status_has_room_for_all_issues(
    tmp_path: Path,
) -> None:
    watch, now = WELL.watch(tmp_path), at(1)
    text = "\x1b[2J\udcff\n" + "x" * 5000
    found = [IssueFinding("line_closed", f"line {n} \x1b\udcff", text, text) for n in range(256)]
    watch.issues.see("devices", found, now)
    sent = msgspec.json.encode(issue_status(watch.issues, now, STATUS_WORDS))
    assert len(sent) < 64_000, "brokers of clouds take 128 kB"
    assert len(msgspec.json.decode(sent)) == 256
    assert b"\x1b" not in sent
    msgpack.packb(watch.to_keep(now))
    assert render([issue_family(watch.issues)])
    assert all(each["remedy"] for each in issues_for_people(watch.issues, now))


def test_what_comes_and_goes_costs_few_statuses_and_the_last_word_is_given(tmp_path: Path) -> None:
    """Each is some kilobytes, and a site may have a few megabytes a day."""
    parts, given = Parts(), list[int]()
    watch = parts.watch(tmp_path, changed=lambda: given.append(len(watch.issues)))
    reports = Polled("hut", health={Condition.FAN: "its fan stands still"})
    for second in range(0, 3000, 5):
        parts.device = reports if second % 10 else Polled("hut")
        looked(watch, parts, second)
    assert len(given) == STATUSES_PER_HOUR
    looked(watch, parts, 8000)
    assert len(given) == STATUSES_PER_HOUR + 1
    assert given[-1] == len(watch.issues)


def test_only_what_a_status_had_is_told_by_its_arrival(tmp_path: Path) -> None:
    parts = Parts()
    watch = looked(parts.watch(tmp_path), parts, 0)
    parts.device = Polled("hut", Reason.SILENT, "no answer")
    looked(watch, parts, 5)
    watch.status_given()
    parts.unmatched = 1
    looked(watch, parts, 10)
    watch.status_arrived()
    assert {each.kind: each.told for each in watch.issues} == {
        "device_fails": True,
        "unmatched_edges": False,
    }


def test_a_disk_that_hangs_holds_up_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.gateway.issuewatch.COUNTING_S", 0.05)
    parts = replace(WELL, disk_s=20.0, unmatched=1)
    begin_s = time.monotonic()
    watch = looked(parts.watch(tmp_path), parts, 100)
    assert time.monotonic() - begin_s < 10.0
    assert [each.kind for each in watch.issues] == ["unmatched_edges"]


def test_events_of_one_commit_are_taken_in_the_order_in_which_they_happened(tmp_path: Path) -> None:
    watch = WELL.watch(tmp_path)
    on, off = (
        fault("on", fault="stuck_on", part="lead"),
        fault("off", fault="stuck_on", part="lead"),
    )
    # what is urgent stands first, and has happened after the window's end
    watch.see_events([replace(off, to_ns=62 * S), replace(on, to_ns=60 * S)], at(63))
    assert not len(watch.issues)


@pytest.mark.parametrize(
    ("month", "day", "end"),
    [
        ("2026-11", 1, "on 2026-12-01."),
        ("2026-12", 15, "on 2027-01-15."),
        ("", 1, "with the next month of the contract."),
        ("soon", 1, "with the next month of the contract."),
    ],
)
def test_a_budget_that_is_used_up_says_when_a_new_one_begins(
    month: str, day: int, end: str
) -> None:
    (told,) = budget_findings(SaverLevel(2, 10**6, 10**6, month, S), counted=True, billing_day=day)
    assert as_sentence(told.cause).endswith(
        f"1 of 1 MB are used, so minutes are merged into quarter hours: this ends {end}"
    )


def test_who_asks_for_a_device_is_told_its_issues_alone(tmp_path: Path) -> None:
    silent = Polled("roof", Reason.SILENT, "no device answers at 0x69")
    parts = replace(WELL, neighbours=(silent,), events=[fault("on", fault="chatter")])
    issues = looked(parts.watch(tmp_path), parts, 100).issues
    told = [[one["kind"] for one in issues_about(issues, name, at(100))] for name in
            ("hut", "roof", "north_1")]  # fmt: skip
    assert told == [[], ["device_fails"], ["contact_fault"]]


def test_the_outbox_is_asked_once_a_minute_and_the_rest_every_five_seconds(
    tmp_path: Path,
) -> None:
    parts = Parts()
    watch = looked(parts.watch(tmp_path), parts, 100)
    parts.counts, parts.unmatched = replace(COUNTS, dead_letters=1), 1
    looked(watch, parts, 104)
    assert not len(watch.issues)
    looked(watch, parts, 105)
    assert [each.kind for each in watch.issues] == ["unmatched_edges"]
    looked(watch, parts, 161)
    assert [each.kind for each in watch.issues] == ["dead_letters", "unmatched_edges"]
