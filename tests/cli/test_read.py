"""`kerbstone read`: what it refuses, and what it says of a daemon that is older or away."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.sht4x import Sht4x
from edge.core import BusError
from edge.diagnose import standalone
from edge.report.live.answertext import News
from tests.cli.answering_daemon import answering
from tests.kit.command import Command, MakeSite

STORE = '[store]\ndir = "{0}/store"\nrun_dir = "{0}/run"\n'
LANE = {
    "name": "north_1", "approach": "north", "kind": "vehicle",
    "loops": [
        {"name": "north_1.lead", "line": "a", "on": True, "edge_age_s": 0.4, "edges": 2404,
         "edges_hour": 1204, "watched_age_s": 9000.0},
        {"name": "north_1.trail", "line": "b", "on": None, "edge_age_s": None, "edges": 0,
         "edges_hour": 0, "watched_age_s": None, "closed": "line b chatters"},
    ],
    "window": {"age_s": 12.0, "length_s": 60.0, "volume": 5, "occupancy": 0.125, "health": "ok"},
    "since_window": {"vehicles": 3, "more": True},
    "vehicles": [{"age_s": 0.4}, {"age_s": 3.2, "on_s": 0.47, "speed_kmh": 48.2, "length_m": 4.5,
                                  "class": "short"}],
}  # fmt: skip
ANSWER: dict[str, Any] = {
    "site": "quay", "gateway": "gw-1", "uptime_s": 9000.0, "devices": [], "lanes": [LANE],
    "contacts": [{"name": "door", "kind": "door", "line": "d", "on": False, "edge_age_s": None,
                  "edges": 0, "edges_hour": 0, "watched_age_s": 65.0}],
    "link": {"connected": True, "broker": "mqtt://a", "for_s": 5.0}, "queue": {"rows": 0},
    "issues": [{"kind": "loop_fault", "about": "north_1 trail chatter",
                "cause": "The trail loop chatters.", "remedy": "Look at its card."}],
}  # fmt: skip


def test_a_lane_says_what_its_loops_do(kerbstone: Command, site: MakeSite, tmp_path: Path) -> None:
    file = site(more=STORE.format(tmp_path))
    with answering(tmp_path / "run", {"live": ANSWER}):
        said = kerbstone("read", "--all", "--config", file)
    assert said.lines == [
        "gw-1 at quay, as the daemon holds it; no device was asked",
        "",
        "north_1, lane of approach north",
        "  lead  OCCUPIED, last edge 0.4 s ago, 1,204 edges in the last hour (line a)",
        "  trail NOT WATCHED: line b chatters (line b)",
        "  last window (60 s, ended 12 s ago): 5 vehicles, occupied 12.5%",
        "  since then: at least 3 vehicles",
        "  last vehicles:",
        "    0.4 s ago   on the loop now",
        "    3.2 s ago     48.2 km/h    4.5 m  short",
        "  ATTENTION: The trail loop chatters. Look at its card.",
        "door (door): closed, no edge in 65 s",
    ]
    assert said.code == 1, "a line is not watched"


def test_a_model_s_issue_is_not_that_of_a_lane_with_its_name(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    file = site(more=STORE.format(tmp_path))
    (lane,) = ANSWER["lanes"]
    well = {**lane, "name": "congestion", "loops": lane["loops"][:1]}
    issue = {
        "kind": "model_fails",
        "about": "congestion",
        "cause": "It is late.",
        "remedy": "Wait.",
    }
    with answering(tmp_path / "run", {"live": {**ANSWER, "lanes": [well], "issues": [issue]}}):
        said = kerbstone("read", "--all", "--config", file)
    assert (said.code, "ATTENTION" in said.out) == (0, False)


def test_an_older_daemon_is_said_to_be_one(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    file = site(more=STORE.format(tmp_path))
    with answering(tmp_path / "run", {"status": {}}):
        said = kerbstone("read", "north_1", "--config", file)
    assert said.code == 2
    assert "of an older version" in said.err
    assert "systemctl restart kerbstone" in said.err


def test_a_daemon_that_answers_nonsense_makes_no_traceback(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    file = site(more=STORE.format(tmp_path))
    odd = {"lanes": [{"loops": 5, "window": [], "vehicles": [{}]}, 7], "devices": "x",
           "contacts": [], "site": "a\x1b[2J", "gateway": 5}  # fmt: skip
    with answering(tmp_path / "run", {"live": odd}):
        said = kerbstone("read", "--all", "--config", file)
    assert "\x1b" not in said.out
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--all", "north_1"],
        ["nobody"],
        ["north_1", "--watch", "--every", "0"],
        ["north_1", "--watch", "--every", "nan"],
        ["north_1", "--for", "-1"],
        ["north_1", "--for", "1e9"],
    ],
)
def test_what_cannot_be_asked_is_exit_2(
    kerbstone: Command, site: MakeSite, words: list[str]
) -> None:
    said = kerbstone("read", *words, "--config", site())
    assert said.code == 2
    assert "kerbstone read: " in said.err


def test_a_wrong_name_brings_the_right_ones(kerbstone: Command, site: MakeSite) -> None:
    said = kerbstone("read", "north1", "--config", site())
    assert "there are heat, north_1, east_1" in said.err


AIR = """
[bus.air]
kind = "i2c"
path = "sim:{0}/i2c"
[device.hut]
driver = "sht4x"
bus = "air"
"""
SILENT = [
    {"point": point, "value": None, "unit": "1", "quality": "bad:silent"}
    for point in ("temperature", "humidity")
]
STUCK = "/dev/i2c-1 is stuck: a device holds SCL or SDA low; switch the sensors off and on"


def test_a_device_that_fails_shows_cause_and_remedy(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    file = site(more=(AIR + STORE).format(tmp_path))
    answer = {"readings": SILENT, "health": {}, "text": STUCK}
    with answering(tmp_path / "run", {"read": answer}):
        said = kerbstone("read", "hut", "--config", file)
        row = json.loads(kerbstone("read", "hut", "--config", file, "--json").out)
    assert said.code == 3
    assert said.lines[-2:] == [
        "  /dev/i2c-1 is stuck: a device holds SCL or SDA low",
        "    switch the sensors off and on",
    ]
    assert row["text"] == STUCK


@pytest.mark.parametrize(
    ("quality", "remedy"),
    [
        (["bad:crc", "bad:crc"], ["    check shield, terminator, and cables beside power lines"]),
        (["bad:crc", "bad:silent"], []),
        (["bad:of_a_newer_gateway", "bad:of_a_newer_gateway"], []),
    ],
)
def test_a_text_without_a_remedy_has_that_of_its_reason(
    quality: list[str], remedy: list[str], kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    file = site(more=(AIR + STORE).format(tmp_path))
    rows = [{**row, "quality": each} for row, each in zip(SILENT, quality, strict=True)]
    with answering(tmp_path / "run", {"read": {"readings": rows, "text": "wrong sum"}}):
        said = kerbstone("read", "hut", "--config", file)
    assert said.lines[3:] == ["  wrong sum", *remedy]


def test_a_device_that_is_silent_without_the_gateway_has_the_remedy_of_its_reason(
    kerbstone: Command, site: MakeSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise BusError("no device answers at 0x44")

    monkeypatch.setattr(standalone, "read_once", silent)
    said = kerbstone("read", "hut", "--config", site(more=(AIR + STORE).format(tmp_path)))
    assert said.code == 3
    assert "does not answer: no device answers at 0x44" in said.err
    assert "check its supply, its plug and its wires" in said.err


def test_points_without_a_value_have_their_remedy_too(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    file = site(more=(AIR + STORE).format(tmp_path))
    broken = [{**each, "quality": "bad:fault"} for each in SILENT]
    with answering(tmp_path / "run", {"read": {"readings": broken, "text": ""}}):
        said = kerbstone("read", "hut", "--config", file)
    assert said.code == 1
    assert said.lines[-2:] == [
        "  2 of 2 points have no value (fault): temperature, humidity",
        "    the device itself reports that this part is broken: replace it",
    ]


GOOD = [{**each, "value": 21.5, "quality": "good"} for each in SILENT]
CHATTER = {"kind": "contact_fault", "about": "hut chatter", "cause": "hut chatters.",
           "remedy": "Check its cable."}  # fmt: skip


@pytest.mark.parametrize(
    ("readings", "code"),
    [
        (GOOD, 0),
        ([GOOD[0], {**SILENT[1], "quality": "bad:range"}], 1),
        ([GOOD[0], {**SILENT[1], "quality": "bad:warmup"}], 0),  # it only needs time
    ],
)
@pytest.mark.parametrize("words", [["hut"], ["--all"]])
def test_a_point_without_a_value_is_exit_1(
    readings: list[Any],
    code: int,
    words: list[str],
    kerbstone: Command,
    site: MakeSite,
    tmp_path: Path,
) -> None:
    file = site(more=(AIR + STORE).format(tmp_path))
    device = {"name": "hut", "state": "ok", "age_s": 1.0, "readings": readings}
    answers = {"read": {"readings": readings}, "live": {"devices": [device]}}
    with answering(tmp_path / "run", answers):
        assert kerbstone("read", *words, "--config", file).code == code


@pytest.mark.parametrize("about", ["hut", "door"])
def test_an_open_issue_of_what_is_read_is_shown_and_exit_1(
    about: str, kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    file = site(more=(AIR + STORE).format(tmp_path))
    issues = [{**CHATTER, "about": f"{about} chatter"}]
    device = {"name": "hut", "state": "ok", "age_s": 1.0, "readings": GOOD}
    live = {"devices": [device], "contacts": ANSWER["contacts"], "issues": issues}
    answers = {"read": {"readings": GOOD, "issues": issues}, "live": live}
    with answering(tmp_path / "run", answers):
        each = [kerbstone("read", "--all", "--config", file)]
        if about == "hut":
            each.append(kerbstone("read", "hut", "--config", file))
    for said in each:
        assert "  ATTENTION: hut chatters. Check its cable." in said.lines
        assert said.code == 1


def test_without_the_daemon_it_is_the_same(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    file = site(more=(AIR + STORE).format(tmp_path))
    with I2cServer(I2cKernel({}), tmp_path / "i2c"):
        said = kerbstone("read", "hut", "--config", file)
    assert said.code == 3
    assert said.err.splitlines() == [
        f"kerbstone read: hut does not answer: no device answers at 0x44 on sim:{tmp_path}/i2c: no "
        "device on this bus has answered yet",
        "  check wiring (SDA and SCL swapped?), supply, pull-ups and address",
    ]


CALIBRATED = """
[calibration.hut]
device = "hut"
point = "temperature"
offset = -1.5
by = "City laboratory"
on = 2025-03-02
until = 2026-03-01
"""


@pytest.mark.parametrize("words", [["hut"], ["--all"]])
def test_without_the_daemon_values_are_corrected_too(
    words: list[str], kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    file = site(more=(AIR + STORE).format(tmp_path) + CALIBRATED)
    chip = Sht4x(lambda _: {"temperature": 21.5, "humidity": 40.0})
    with I2cServer(I2cKernel({0x44: chip}), tmp_path / "i2c"):
        said = kerbstone("read", *words, "--for", "2", "--config", file)
    (line,) = [line for line in said.lines if "temperature" in line]
    assert line.split()[1:] == ["19.9992", "Cel", "uncertain:calibration"]


def test_what_is_waited_for_is_said_and_one_who_never_answers_is_no_wrong_use(
    kerbstone: Command, site: MakeSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("edge.cli.read.progress", shown.append)
    monkeypatch.setattr("edge.cli.read.ANSWER_S", 0.1)
    file = site(more=(AIR + STORE).format(tmp_path))
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "run" / "control.sock"))
        deaf.listen()
        said = kerbstone("read", "hut", "--config", file)
    assert shown == ["waiting for hut: the daemon asks it now, at most 0.1 s", ""]
    assert said.code == 3
    assert "no answer within 0.1 s: its bus may be slow, or hang" in said.err


def test_that_a_warm_up_lasts_longer_is_no_news() -> None:
    """Else `--watch` in a pipe would have a line for it each second."""
    device = {"name": "hut", "state": "ok", "age_s": 1.0, "unsettled": "warmup"}
    news = News()
    told = [
        len(news.items({"devices": [{**device, "unsettled_age_s": age_s}]})) for age_s in (1.0, 2.0)
    ]
    assert told == [1, 0]
