"""`kerbstone status`: the verdict first, what to do next, and nothing wider than a telephone."""

import json
import re
import unicodedata
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import Store
from edge.core import boxfiles
from edge.core.humanize import megabytes_text, percent_text, span_text
from edge.outbox import OutboxCounts
from edge.report.status.issues import listed_issues, verdict_line
from edge.report.status.page import status_page
from edge.report.status.textform import WIDTH, Section, fit_line, render_sections
from edge.terminal import page_width
from edge.wire.contract.health import Health
from tests.cli.answering_daemon import answering
from tests.kit.command import Command, MakeSite

DAY = 86_400.0
REPORT = Path(__file__).parents[2] / "edge/report"
COUNTS = asdict(OutboxCounts(rows=1204, size=3 << 20, limit=64 << 20, streams={"air": 1204},
                       oldest=(2, 5), forecast_s=12.4 * DAY,
                       forecast_downsampled_s=160 * DAY))  # fmt: skip
FINE: dict[str, Any] = {
    "gateway": "gw-1",
    "site": "quay",
    "uptime_s": 7300.0,
    "tq": "ntp",
    "problems": {}, "issues": [],
    "outbox": {**COUNTS, "boot": 2, "age_s": 61.0},
    "link": {
        "connected": True, "brokers": ["mqtts://a:8883", "mqtts://b:8883"], "confirm": "platform",
        "broker": "mqtts://a:8883", "for_s": 7200.0, "failure": None, "confirmed_s": 4.2,
        "unconfirmed": 12,
    },
    "clock": {"tq": "ntp", "wall_s": 1_795_000_000, "max_error_us": 12_300, "steps": 0,
              "unsynced_s": 0.0},
    "buses": {"air": "/dev/i2c-1", "loops": "/dev/gpiochip0"},
    "lanes": {"north_1": {"bus": "loops"}, "north_2": {"bus": "loops"}},
    "bays": {"bakery": {"bus": "loops", "kind": "loading"}},
    "signals": {
        "n_red": {"bus": "loops", "approach": "north"},
        "n_green": {"bus": "loops", "approach": "north"},
        "s_green": {"bus": "more", "approach": "south"},
    },
    "devices": {
        "hut_air": {"bus": "air", "reads": 7200, "errors": 0, "missed": 0, "state": "ok"},
    },
    "dropped": 0, "unmatched_edges": 0, "stage_overflow": 0,
    "models": {"congestion": {"model": "congestion 1.0.0", "answers": "model", "why": "",
                              "ms": 2.1},
               "anomaly": None},
    "box": {
        "model": "Raspberry Pi Zero 2 W Rev 1.0",
        "serial": "00ff",
        "start": {"cause": "power", "text": "The power was cut (rsts 0x1000)."},
        "alarms": {},
        "health": {
            "sent": 40_000, "sent_redelivered": 3, "cpu_temperature": 51.2,
            "throttled": [], "throttled_seen": [], "memory_available_bytes": 210 << 20,
            "memory_total_bytes": 420 << 20, "disk_free_bytes": 20 << 30,
            "disk_total_bytes": 30 << 30, "flash_written_mb_day": 48.2, "flash_own_mb_day": 31.0,
            "card_life_years": 22.7, "card_endurance_tb": 0.4,
            "device_error_ratio": {"hut_air": 0.0},
        },
    },
}  # fmt: skip


def changed(**parts: Any) -> dict[str, Any]:
    """FINE with `box__alarms={...}` put in its place."""
    status = deepcopy(FINE)
    for path, value in parts.items():
        *way, last = path.split("__")
        place = status
        for key in way:
            place = place[key]
        place[last] = value
    return status


def sheet(status: Mapping[str, Any]) -> list[str]:
    return status_page(status, listed_issues(status))


def flat(status: Mapping[str, Any]) -> str:
    """The sheet without its line ends."""
    return " ".join(" ".join(sheet(status)).split())


def test_pages_ask_a_health_record_only_for_what_it_can_have() -> None:
    """A field that is renamed, or that never was, would be missing without a word."""
    declared = set(Health.__struct_encode_fields__)
    asked = {
        f"{path.name}:{number} {name}"
        for path in sorted(REPORT.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for name in re.findall(r'\bhealth(?:\.get\(|\[)"(\w+)"', line)
        if name not in declared
    }
    assert (asked, set(FINE["box"]["health"]) - declared) == (set(), set())
    assert len(re.findall(r'health\.get\("', (REPORT / "status/box.py").read_text())) > 9


def test_a_supply_that_is_too_low_is_not_called_good() -> None:
    text = flat(changed(box__health__throttled=["undervoltage"]))
    assert "THE SUPPLY VOLTAGE IS TOO LOW NOW" in text
    assert "supply good" not in text
    text = flat(changed(box__health__throttled=["throttled"]))
    assert "limited now: throttled" in text
    assert "TOO LOW" not in text


def test_names_stand_beside_ids_and_an_older_daemon_has_none() -> None:
    names = {
        "hut_air": "Luft", "north_1": "Nord 1", "bakery": "Bäckerei", "north": "Nordstraße",
        "n_red": "Rot", "north_2": "\x1b[2J\nOK: gw-1",
    }  # fmt: skip
    lines = sheet(changed(names=names, site_name="Ampel Süd 3 / شارع"))
    text = " ".join(" ".join(lines).split())
    assert lines[0] == "OK: gw-1 at quay: nothing needs attention"
    for said in (
        "site quay (Ampel Süd 3 / شارع)",
        "hut_air (Luft): ok",
        r"lanes north_1 (Nord 1), north_2 (\x1b[2J\nOK: gw-1)",
        "bay bakery (Bäckerei) (loading)",
        "signal of north (Nordstraße): n_red (Rot), n_green",
    ):
        assert said in text, said
    assert not any(line.startswith("site") for line in sheet(FINE))
    for nonsense in ([1], 7, {"hut_air": 7}):
        assert sheet(changed(names=nonsense, site_name=nonsense)) == sheet(FINE)


def test_wide_letters_take_two_columns() -> None:
    long = "交差点交差点交差点 " * 9
    lines = sheet(changed(names={"hut_air": long, "north_1": long}, site_name=long))
    wide = [sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in row) for row in lines]
    assert max(wide) <= WIDTH
    assert max(map(len, lines)) <= WIDTH
    assert any("交差点" in row for row in lines)
    rows = render_sections([Section("x", ("交" * 100, "a" + "交" * 100))])
    assert all(len(row) + row.count("交") <= WIDTH for row in rows)
    assert sum(row.count("交") for row in rows) == 200
    verdict = fit_line("OK: " + "交" * 60)
    assert (len(verdict), verdict[-3:]) == (4 + 36 + 3, "...")
    assert not {"\x1e", "\x1f"} & {char for row in lines for char in row}


@pytest.mark.parametrize("columns", [30, 40, 60])
def test_a_narrow_terminal_gets_rows_of_its_width_and_whole_words(columns: int) -> None:
    said = changed(issues=[issue("records_lost"), issue("outbox_quarantined")])
    rows = status_page(said, listed_issues(said), columns)
    assert max(map(len, rows)) <= columns
    words = {word for row in sheet(said)[1:] for word in row.split() if len(word) < columns - 16}
    assert words <= {word for row in rows[1:] for word in row.split()}


def test_the_command_asks_the_terminal_for_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert page_width(WIDTH) == WIDTH  # a pipe has no columns
    monkeypatch.setattr("edge.terminal.is_terminal", lambda: True)
    assert page_width(WIDTH) == 40


def test_a_gateway_that_is_well_says_so_in_its_first_line() -> None:
    assert listed_issues(FINE) == []
    lines = sheet(FINE)
    assert lines[0] == "OK: gw-1 at quay: nothing needs attention"
    assert max(map(len, lines)) <= WIDTH
    text = flat(FINE)
    for said in (
        "connected to mqtts://a:8883 for 2 h",
        "12 unconfirmed; the last receipt of the platform came 4.2 s ago",
        "40,000 records sent since the start, 3 repeats",
        "1,204 records waiting; 3.0 MB of 64 MB used (4.7%)",
        "the oldest has waited 61 s",
        "12 days; with downsampling 160 days at the present rate",
        "nothing lost since the start",
        "follows a time server (NTP); wrong by 12 ms at most",
        "hut_air: ok; no read failed in the last hour",
        "lanes north_1, north_2",
        "bay bakery (loading)",
        "signal of north: n_red, n_green",
        "51 degrees Celsius",
        "supply good, not slowed down",
        "memory: 210 MB of 420 MB free (50%)",
        "The power was cut",
        "48.2 MB a day written, by all programs; 31.0 MB a day by the daemon",
        "a new card lasts 22 years at that rate, if 0.4 TB can be written to it (an assumption",
        "congestion 1.0.0 answers",
        "anomaly: off",
    ):
        assert said in text, said
    assert "to do" not in text
    assert "south" not in text  # its bus is not there


def issue(kind: str, about: str = "", **more: Any) -> dict[str, Any]:
    """As the daemon gives it."""
    said = {"cause": "It is so.", "remedy": "Do this.", "for_s": 5.0, "told": True}
    return {"kind": kind, "about": about, "severity": "fault", "since": None, **said, **more}


@pytest.mark.parametrize(
    ("one", "short", "says"),
    [
        (issue("records_in_memory"), "records are only in memory", "It is so. Do this."),
        (issue("device_fails", "hut_air"), "hut_air does not answer", "It is so. Do this."),
        (issue("hot", for_s=7260.0), "hot", "It is so. Do this. Since 2 h 1 min."),
        (issue("hot", for_s=None), "hot", "It is so. Do this."),
        (issue("hot", told=False), "hot", "Do this. The city does not know it yet."),
        (issue("of_tomorrow", "x"), "of tomorrow", "It is so. Do this."),
    ],
)
def test_what_needs_a_person_is_in_the_first_line_and_says_what_to_do(
    one: dict[str, Any], short: str, says: str
) -> None:
    status = changed(issues=[one])
    lines = sheet(status)
    assert lines[0] == f"ATTENTION: gw-1 at quay: {short}"
    assert lines[1].startswith("to do     - ")
    assert says in flat(status)
    assert max(map(len, lines)) <= WIDTH


@pytest.mark.parametrize(("level", "says"), [(0, "in 2026-11"), (2, "merged into quarter hours")])
def test_a_byte_budget_is_told_where_there_is_one(level: int, says: str) -> None:
    data_saver = {"level": level, "used": 480_000_000, "budget": 500_000_000, "month": "2026-11"}
    reported = flat(changed(data_saver=data_saver))
    assert "480 of 500 MB used" in reported
    assert says in reported
    assert "MB used in" not in flat(changed(data_saver={**data_saver, "budget": 0}))


def test_several_matters_are_counted_and_what_loses_data_comes_first() -> None:
    status = changed(issues=[issue("records_lost"), issue("no_broker"), issue("hot")])
    assert sheet(status)[0] == "ATTENTION: gw-1 at quay: records were lost (and 2 more)"


def test_many_devices_are_told_by_their_exceptions() -> None:
    fine = {"bus": "air", "reads": 9, "errors": 0, "state": "ok"}
    devices = {f"d{n}": fine for n in range(40)}
    devices["bad"] = {"bus": "air", "reads": 9, "errors": 9, "state": "silent", "text": "no answer"}
    text = flat(changed(devices=devices))
    assert "40 more devices are fine" in text
    assert "bad: SILENT; 9 reads, 9 errors since the start no answer" in text
    assert "d7" not in text


def test_without_the_newer_facts_of_the_link_the_rest_is_told() -> None:
    link = {"connected": True, "brokers": ["mqtt://a:1"], "confirm": "broker"}
    assert "connected to mqtt://a:1 40,000 records sent" in flat(changed(link=link))


def test_an_outbox_that_does_not_answer_hides_nothing_else() -> None:
    text = flat(changed(outbox=None))
    assert "The outbox does not answer: the disk may be hanging." in text
    assert "51 degrees" in text


@given(st.text(max_size=200), st.text(max_size=200))
def test_the_first_line_is_one_line_that_fits(gateway: str, text: str) -> None:
    status = changed(gateway=gateway, issues=[issue(text, text, cause=text)])
    assert len(verdict_line(listed_issues(status), gateway)) <= WIDTH
    assert len(status_page(status, listed_issues(status))[0]) <= WIDTH


@given(st.dictionaries(st.sampled_from([*FINE]), st.none()))
def test_what_is_missing_breaks_nothing(missing: dict[str, None]) -> None:
    status = {key: value for key, value in FINE.items() if key not in missing}
    assert status_page(status, listed_issues(status))


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (None, "not known"), (0.25, "0.2 s"), (45, "45 s"), (119.9, "119 s"), (120, "2 min"),
        (7199, "119 min"), (12_000, "3 h 20 min"), (7200, "2 h"), (2 * DAY, "2 days"),
        (12.9 * DAY, "12 days"), (3 * 366 * DAY, "3 years"), (1e12, "more than 100 years"),
    ],
)  # fmt: skip
def test_spans_are_said_as_people_say_them(seconds: float | None, says: str) -> None:
    assert span_text(seconds) == says


def test_sizes_and_shares_never_round_something_to_nothing() -> None:
    assert [megabytes_text(n) for n in (0, 1, 3 << 20, 64 << 20, 30 << 30)] == [
        "0.0 MB", "0.1 MB", "3.0 MB", "64 MB", "30 GB"
    ]  # fmt: skip
    assert [percent_text(p) for p in (0, 1e-6, 0.012, 0.5)] == [
        "0%",
        "less than 0.1%",
        "1.2%",
        "50%",
    ]
    assert fit_line("x" * 100, " (and 2 more)").endswith("... (and 2 more)")
    assert render_sections([]) == []


# -- the command -----------------------------------------------------------------------------------


@pytest.fixture
def config(site: MakeSite, tmp_path: Path) -> Path:
    return site(more=f'[store]\ndir = "{tmp_path}/store"\nrun_dir = "{tmp_path}/run"\n')


def test_a_daemon_that_is_well_is_exit_0(kerbstone: Command, config: Path, tmp_path: Path) -> None:
    with answering(tmp_path / "run", {"status": FINE}):
        said = kerbstone("status", "--config", config)
    assert (said.code, said.err) == (0, "")
    assert said.lines[0].startswith("OK: gw-1")


def test_something_to_attend_to_is_exit_1(kerbstone: Command, config: Path, tmp_path: Path) -> None:
    with answering(tmp_path / "run", {"status": changed(issues=[issue("records_lost")])}):
        said = kerbstone("status", "--config", config)
        reported = kerbstone("status", "--config", config, "--json")
    assert said.code == reported.code == 1
    found = json.loads(reported.out)
    assert found["ok"] is False
    assert [(one["kind"], one["short"], one["text"]) for one in found["issues"]] == [
        ("records_lost", "records were lost", "It is so. Do this.")
    ]
    assert found["box"] == FINE["box"]


def test_the_page_has_the_fingerprint_that_a_phone_is_compared_with(
    kerbstone: Command, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint = ":".join(["AB"] * 32)
    monkeypatch.setattr("edge.cli.status.read_page_fingerprint", lambda: fingerprint)
    with answering(tmp_path / "run", {"status": FINE}):
        said = kerbstone("status", "--config", config)
        reported = kerbstone("status", "--config", config, "--json")
    assert fingerprint in "".join(said.out.split())
    assert all(len(line) <= WIDTH for line in said.lines)
    assert json.loads(reported.out)["page"] == {"fingerprint": fingerprint}


@pytest.mark.skipif(boxfiles.find_site_file().exists(), reason="this is a gateway itself")
def test_who_may_ask_the_daemon_needs_no_site_file(
    kerbstone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of an enrolled box is for root only."""
    monkeypatch.setattr("edge.cli.status.Store", lambda: Store(run_dir=f"{tmp_path}/run"))
    assert kerbstone("status").code == 2
    with answering(tmp_path / "run", {"status": FINE}):
        assert kerbstone("status").lines[0].startswith("OK: gw-1")
        assert kerbstone("status", "--config", tmp_path / "none.toml").code == 2


def test_without_a_daemon_it_says_how_to_start_it_and_exits_3(
    kerbstone: Command, config: Path
) -> None:
    said = kerbstone("status", "--config", config)
    assert said.code == 3
    assert said.lines[0] == "NOT REACHABLE: gw-1 at test: the daemon does not run"
    assert "systemctl start kerbstone" in said.out
    assert "there is no outbox" in said.out
    assert json.loads(kerbstone("status", "--config", config, "--json").out)["outbox"] is None


def test_a_daemon_that_refuses_is_exit_3(kerbstone: Command, config: Path, tmp_path: Path) -> None:
    with answering(tmp_path / "run", {}):
        said = kerbstone("status", "--config", config)
    assert said.code == 3
    assert "NOT REACHABLE" in said.lines[0]
    assert "systemctl status kerbstone" in said.out
