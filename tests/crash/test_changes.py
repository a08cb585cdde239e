"""The configuration is changed while a killed process has left something behind: it starts, and
nothing is lost, doubled or filed under something else's name.

`CRASH_CHANGES=400` tries so many pairs of configurations; without it there are a few.
"""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from edge.core import Record, Stream
from tests.crash.changing import (
    BEGIN_NS,
    RATE,
    RUN_S,
    ChangingStorage,
    ConfiguredLife,
    audit,
    raw_of,
)
from tests.crash.configs import BUSES, Config, configs
from tests.long import more, size

TRIED = int(os.environ.get("CRASH_CHANGES") or size(5, 15))
SLACK_NS = 1_000_000  # gaps are told in microseconds
PULSES = {"energy_import", "power"}  # of a meter with pulses
NEVER = 1_000_000
MOST = 160  # writes of a process, or so
counted: Counter[str] = Counter()


def looked(box: ChangingStorage, records: Sequence[Record]) -> None:
    raw = raw_of(records)
    counted.update(records=len(records), raw=len(raw))
    assert Counter(at for at, _ in raw) == Counter(list(box.swept)), (
        "each sweep once, under its name"
    )
    assert dict(raw) == box.swept, "with the points that it had"
    report = audit(records)
    assert not report.findings, report.findings
    assert not values_of_others(box, records)
    assert not counted_twice(box, records)
    assert not holes(box, records)


def values_of_others(box: ChangingStorage, records: Sequence[Record]) -> list[str]:
    """What stands under a key that is not its own: each key has one value, always."""
    pulses = {name for name, _ in box.pulses}  # their power is calculated
    return [
        f"{record.source}.{key}: {reported} is none of {box.said[key]}"
        for record in records
        for key, reported in record.body.get("points", {}).items()
        if key in box.said and reported.get("max") is not None
        if not (record.source in pulses and record.body["points"].keys() == PULSES)
        for off in (reported["min"], reported["max"])
        if all(abs(off - said) > reported["step"] for said in box.said[key])
    ]


def counted_twice(box: ChangingStorage, records: Sequence[Record]) -> list[str]:
    """Sums of growth that are more than what came."""
    grown: Counter[tuple[str, str, float]] = Counter()
    for record in records:
        for key, reported in record.body.get("points", {}).items():
            if reported.get("delta") is not None:
                grown[record.source, key, reported["step"]] += round(
                    reported["delta"] / reported["step"]
                )
    most_s = (box.now_ns - BEGIN_NS) / 1e9
    wrong = []
    for (source, key, step), steps in grown.items():
        constants = [(name, 1 / imp) for name, imp in box.pulses]
        pulses = dict(zip(constants, box.pulses.values(), strict=True)).get((source, step), 0)
        limit = pulses + (RATE * most_s / step if source in box.polled else 0)
        if steps > limit:
            wrong.append(f"{source}.{key} has grown by {steps} steps of {step}: {limit} came")
    return wrong


def holes(box: ChangingStorage, records: Sequence[Record]) -> list[str]:
    """Time that a source was watched, of which neither a record nor a gap tells."""
    reported: dict[str, list[tuple[int, int]]] = {}
    for record in records:
        body = record.body
        if body.get("event") == "gap":
            from_us, to_us = body["gap"]
            for source in body["sources"] if from_us is not None else ():
                reported.setdefault(source, []).append((from_us * 1000, to_us * 1000))
        elif record.key.stream not in (Stream.EVENT, Stream.RAW):
            reported.setdefault(record.source, []).append((record.from_ns, record.to_ns))
    wrong = []
    for source, from_ns, to_ns in box.watched:
        at_ns = from_ns
        for begin, end in sorted([*reported.get(source, ()), *reported.get("*", ())]):
            if begin > at_ns + SLACK_NS:
                break
            at_ns = max(at_ns, end)
        if at_ns + SLACK_NS < to_ns:
            wrong.append(
                f"{source} was watched from {from_ns} to {to_ns}: nothing is told of {at_ns}"
            )
    return wrong


@more
def test_any_configuration_goes_on_from_what_any_other_left_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # what fails is long to run, so it is not made smaller
    @settings(
        max_examples=TRIED,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
        report_multiple_bugs=False,
    )
    @given(
        sites=st.tuples(configs(), configs()),
        kills=st.tuples(st.integers(1, MOST), st.integers(0, 12) | st.integers(0, MOST)),
        away_s=st.sampled_from((0.5, 3, 20)),
        back=st.booleans(),
        settled=st.booleans(),
    )
    def changed(
        sites: tuple[Config, Config],
        kills: tuple[int, int],
        away_s: float,
        back: bool,
        settled: bool,
    ) -> None:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        killed = list(zip(sites, kills, strict=True))
        if settled:  # what models have learnt is kept at a stop
            killed.insert(0, (sites[0], NEVER))
        try:
            lived(folder, killed, sites[not back], away_s)
        finally:
            shutil.rmtree(folder)

    changed()
    with capsys.disabled():
        print(f"\nchanges: {dict(counted)}")


def lived(
    folder: Path, killed: Sequence[tuple[Config, int | None]], last: Config, away_s: float = 0.5
) -> list[Record]:
    """All records of a box that was killed after so many writes with each configuration, or in the
    midst of its second window, and then ran with the last one, after they have been looked at."""
    (folder / "run").mkdir()
    box = ChangingStorage(folder)
    for config, left in killed:
        ConfiguredLife(box, config, left).live(8 if left is None else RUN_S, stop=left is not None)
        box.now_ns += int(away_s * 4) * 250_000_000
    assert ConfiguredLife(box, last).live(RUN_S)
    counted.update(pairs=1, kills=box.kills, starts=box.starts)
    records = box.records()
    looked(box, records)
    return records


METER = '[device.main_meter]\ndriver = "sdm120"\nbus = "meters"\nunit = 1\n'
PULSE = '[device.heat]\nbus = "loops"\nactive = "high"\ndriver = "s0"\nline = "a"\n'


def site(*parts: str, raw: bool = True) -> Config:
    return Config(5, raw, 60, False, parts, BUSES)


def test_a_renamed_meter_keeps_no_start_from_happening_and_its_sweeps_go_out(
    tmp_path: Path,
) -> None:
    renamed = METER.replace("main_meter", "house")
    lived(tmp_path, [(site(METER, PULSE), None)], site(renamed, PULSE))


def test_sweeps_go_out_though_raw_is_off_by_now(tmp_path: Path) -> None:
    lived(tmp_path, [(site(METER, PULSE), None)], site(METER, PULSE, raw=False))


def test_values_of_a_driver_are_not_taken_for_those_of_another_with_as_many_points(
    tmp_path: Path,
) -> None:
    some, others = ("voltage_l1", "frequency"), ("current_l1", "power_factor")
    before, after = (f"{METER}points = {list(keys)}\n".replace("'", '"') for keys in (some, others))
    lived(tmp_path, [(site(before, PULSE), None)], site(after, PULSE))


def test_pulses_of_a_meter_are_not_counted_by_the_constant_of_another(tmp_path: Path) -> None:
    before, after = (f"{PULSE}imp_per_kwh = {imp}\n" for imp in (1000, 10))
    lived(tmp_path, [(site(before, METER), None)], site(after, METER))


def test_what_a_source_had_seen_that_is_gone_is_told_under_its_name(tmp_path: Path) -> None:
    records = lived(tmp_path, [(site(METER, PULSE), None)], site(PULSE))
    reported = [r.body for r in records if r.body.get("sources") == ["main_meter"]]
    assert [body["event"] for body in reported] == ["gap"]
    assert "no longer in" in reported[0]["text"]


def test_a_source_that_comes_back_tells_that_it_was_away(tmp_path: Path) -> None:
    whole, without = site(METER, PULSE), site(PULSE)
    records = lived(tmp_path, [(whole, None), (without, None)], whole)
    reported = [r.body for r in records if r.body.get("sources") == ["main_meter"]]
    assert any(body["gap"][0] is None for body in reported)
