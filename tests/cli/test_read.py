"""`kerbstone read`: what it refuses, and what it says of a daemon that is older or away."""

from pathlib import Path
from typing import Any

import pytest

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
