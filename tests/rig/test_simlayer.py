"""The daemon in virtual time: the same bytes each time, an hour in moments, faults it notices."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.rig.layer import LayerError
from edge.rig.runlog import FaultSpan, Heard, RunLog, Seen
from edge.rig.runner import run
from edge.rig.scenario import Fault, Scenario, Value, Vehicle
from edge.rig.simlayer import SimLayer
from edge.rig.simwitness import BACK, SILENT
from tests.kit.waiting import wait_until
from tests.long import more, size
from tests.rig.crossing import CROSSING, scenario

ROOT = Path(__file__).parents[2]
LANES = ("north_1", "north_2")


def fault(
    target: str, kind: str, at_s: float, for_s: float | None = None, amount: float | None = None
) -> Fault:
    name = f"{kind}_{at_s:.0f}"
    return Fault(name=name, target=target, kind=kind, at_s=at_s, for_s=for_s, amount=amount)


BROKEN = (
    fault("meter", "silent", 60.0, 120.0),
    fault("north_1", "chatter", 90.0, 120.0),
    fault("broker", "down", 150.0, 100.0),
)


def lived(folder: Path, wish: Scenario) -> RunLog:
    log = run(wish, SimLayer(folder / "box"))
    assert (log.ending, log.text) == ("whole", "")
    return log


def of(log: RunLog, stream: str, source: str) -> list[Heard]:
    """Records, each once: one may come again after a connection that broke."""
    found = {(h.epoch, h.seq): h for h in log.heard if (h.stream, h.source) == (stream, source)}
    return [*found.values()]


def events(log: RunLog, source: str, kind: str) -> list[Any]:
    return [one.body for one in of(log, "event", source) if one.body["event"] == kind]


def volumes(log: RunLog, lane: str) -> int:
    return sum(one.body["volume"] or 0 for one in of(log, "traffic", lane))


def drove(log: RunLog, lane: str) -> int:
    return sum(one.lane == lane for one in log.driven)


def seen(log: RunLog, t_s: float) -> Seen:
    """What the box said of itself at the first look from then on."""
    return next(one for one in log.seen if one.t_s >= t_s)


def span(log: RunLog) -> FaultSpan:
    (only,) = log.faults
    return only


def assert_complete(log: RunLog) -> None:
    """Of each stream every number came, with one content; and all vehicles are in them."""
    contents: dict[str, dict[int, set[str]]] = {}
    for one in (one for one in log.heard if one.seq):
        body = {k: v for k, v in one.body.items() if k not in ("backfilled", "redelivered")}
        contents.setdefault(one.stream, {}).setdefault(one.seq, set()).add(str(body))
    for stream, numbers in contents.items():
        assert sorted(numbers) == list(range(1, len(numbers) + 1)), stream
        assert {len(each) for each in numbers.values()} == {1}
    for lane in LANES:
        assert volumes(log, lane) == drove(log, lane) > 0


# --- time, and the same each time ---------------------------------------------------------------


@more
def test_an_hour_of_a_crossing_takes_moments_and_each_vehicle_is_counted(tmp_path: Path) -> None:
    minutes = size(20, 60)
    begin_s = time.process_time()
    log = lived(tmp_path, scenario(tmp_path, 60.0 * minutes))
    took_s = time.process_time() - begin_s
    assert_complete(log)
    for stream, source in (("energy", "meter"), ("air", "hut"), ("traffic", "north_2")):
        ends = [(one.from_s, one.to_s) for one in of(log, stream, source)]
        assert len(ends) >= minutes
        assert all(before[1] == after[0] for before, after in pairwise(ends))
    assert {one.issues for one in log.seen} == {()}
    assert took_s < minutes  # of the processor: an hour in well under a minute


def test_the_same_scenario_gives_the_same_bytes(tmp_path: Path) -> None:
    """Also in another process, whose sets have another order."""
    programs = [_print_digest(tmp_path, seed) for seed in ("1", "2")]
    here = hashlib.sha256(_run_broken(tmp_path / "here")).hexdigest()
    assert [one.communicate(timeout=300)[0].strip() for one in programs] == [here, here]


def _print_digest(folder: Path, hash_seed: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.rig.test_simlayer", str(folder / hash_seed)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _run_broken(folder: Path) -> bytes:
    folder.mkdir()
    log = lived(folder, scenario(folder, 400.0, *BROKEN))
    assert len(log.heard) > 20
    log.scenario = ""
    return msgspec.json.encode(log)


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    one, other = (lived(tmp_path, scenario(tmp_path, 60.0, seed=seed)) for seed in (1, 2))
    assert {h.epoch for h in one.heard if h.seq}.isdisjoint(h.epoch for h in other.heard if h.seq)
    assert [d.on_s for d in one.driven] != [d.on_s for d in other.driven]


def test_threads_of_others_stay_in_real_time(tmp_path: Path) -> None:
    ends: list[float] = []

    def sleep() -> None:
        for _ in range(5):
            time.sleep(0.1)
            ends.append(time.monotonic())

    thread = threading.Thread(target=sleep)
    thread.start()
    before = threading.active_count()
    lived(tmp_path, scenario(tmp_path, 120.0))
    thread.join(30)
    assert all(0.1 <= after - one < 5 for one, after in pairwise(ends))
    wait_until(lambda: threading.active_count() <= before)


# --- faults: what their scenarios in the library do not show ------------------------------------


def test_a_quota_that_is_used_up_costs_no_record(tmp_path: Path) -> None:
    log = lived(tmp_path, scenario(tmp_path, 300.0, fault("broker", "quota", 70.0, 120.0)))
    assert seen(log, 150.0).connected
    assert "broker_quota" in seen(log, 150.0).issues
    assert seen(log, 185.0).queue > 3  # type: ignore[operator]
    assert log.seen[-1].issues == ()
    assert_complete(log)
    assert "messages were refused" in span(log).evidence[0].text


def test_a_killed_daemon_loses_nothing_that_was_taken(tmp_path: Path) -> None:
    kills = fault("gateway", "kill", 130.0), fault("gateway", "kill", 301.0)
    log = lived(tmp_path, scenario(tmp_path, 420.0, *kills))
    assert [[one.text for one in each.evidence] for each in log.faults] == [[SILENT, BACK]] * 2
    starts = events(log, "gateway", "start")
    assert [one["reason"] for one in starts] == ["first", "crash", "crash"]
    assert len({one.epoch for one in log.heard if one.seq}) == 3
    gaps = [one["gap"] for one in events(log, "gateway", "gap")][1:]  # the first: before its start
    assert len(gaps) == 2
    for (from_us, to_us), at_s in zip(gaps, (130.0, 301.0), strict=True):
        assert 2.0e6 <= to_us - from_us < 3.0e6  # systemd waits for 2 s
        assert 0 < to_us / 1e6 - 1000 - at_s < 4
    for lane in LANES:
        assert drove(log, lane) - 4 <= volumes(log, lane) <= drove(log, lane)
    for stream, source in (("energy", "meter"), ("air", "hut")):
        ends = [(one.from_s, one.to_s) for one in of(log, stream, source)]
        assert all(before[1] == after[0] for before, after in pairwise(ends))


def test_a_daemon_that_stands_still_goes_on(tmp_path: Path) -> None:
    log = lived(tmp_path, scenario(tmp_path, 240.0, fault("gateway", "stop", 70.0, 30.0)))
    assert seen(log, 80.0).connected is None  # it says nothing
    assert [one.text for one in span(log).evidence] == [SILENT]
    assert log.seen[-1].connected
    assert_complete(log)  # the kernel has kept the edges


def test_a_clock_that_is_set_moves_dates_and_no_window(tmp_path: Path) -> None:
    jump = fault("clock", "jump", 100.0, None, 3600.0)
    log = lived(tmp_path, scenario(tmp_path, 300.0, jump))
    records = of(log, "traffic", "north_1")
    assert {one.body["from"][11:13] for one in records} == {"06", "07"}
    (told,) = span(log).evidence
    assert told.text == "the clock that the box tells has moved by +3600 s"
    assert 100.0 <= told.t_s < 103.0
    assert all(one.to_s == after.from_s for one, after in pairwise(records))
    assert_complete(log)


def test_a_value_that_is_off_is_in_the_record(tmp_path: Path) -> None:
    off = fault("hut.temperature", "offset", 60.0, 120.0, 10.0)
    log = lived(tmp_path, scenario(tmp_path, 240.0, off, per_hour=0.0))
    means = {one.from_s: one.body["points"]["temperature"]["mean"] for one in of(log, "air", "hut")}
    within = [mean for from_s, mean in means.items() if 60 <= (from_s or 0) < 120]
    before = [mean for from_s, mean in means.items() if (from_s or 0) < 0]
    assert within[0] - before[0] == pytest.approx(10.0, abs=1.0)


# --- what it cannot do --------------------------------------------------------------------------


def opened(folder: Path, then: Callable[[SimLayer], None]) -> None:
    layer = SimLayer(folder / "box")
    layer.open(scenario(folder, 60.0))
    try:
        then(layer)
    finally:
        layer.close()


def test_what_the_layer_cannot_do_is_refused_with_the_reason(tmp_path: Path) -> None:
    def refuse(layer: SimLayer) -> None:
        for target, kind, why in (
            ("power", "cut", "not on the layer sim: its disk has no cache"),
            ("disk", "full", "not on the layer sim: the disk is this machine's"),
            ("clock", "explode", "clock cannot show 'explode'"),
            ("meter", "explode", "meter cannot show 'explode'"),
            ("metre", "silent", "nothing here is called 'metre'"),
        ):
            with pytest.raises(LayerError, match=why):
                layer.begin_fault(fault(target, kind, 1.0))

    opened(tmp_path, refuse)


def test_a_daemon_that_fails_is_told_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of a test")

    monkeypatch.setattr("edge.gateway.boxmonitor.BoxMonitor.due", broken)
    log = run(scenario(tmp_path, 200.0), SimLayer(tmp_path / "box"))
    assert (log.ending, log.text) == ("box_failed", "ZeroDivisionError: of a test")
    assert log.lasted_s < 70


def test_a_site_that_cannot_be_read_is_a_failure_of_the_rig(tmp_path: Path) -> None:
    wish = scenario(tmp_path, 60.0, text=CROSSING.replace("sdm120", "sdm121"))
    log = run(wish, SimLayer(tmp_path / "box"))
    assert log.ending == "rig_failed"
    assert "sdm121" in log.text


def test_a_device_measures_what_the_scenario_says(tmp_path: Path) -> None:
    rise = Value(device="hut", point="temperature", curve=((60.0, 20.0), (120.0, 32.0)))
    log = lived(tmp_path, scenario(tmp_path, 180.0, per_hour=0.0, values=(rise,)))
    rows = {one.from_s: one.body["points"]["temperature"] for one in of(log, "air", "hut")}
    first, *_, last = [row for from_s, row in rows.items() if from_s is not None and from_s > -1]
    assert first["mean"] == pytest.approx(20.0, abs=0.5)
    assert last["mean"] == pytest.approx(32.0, abs=0.1)


def test_one_vehicle_is_one_vehicle(tmp_path: Path) -> None:
    one = Vehicle(lane="north_2", at_s=30.0, speed_kmh=36.0, length_m=4.0)
    log = lived(tmp_path, scenario(tmp_path, 60.0, per_hour=0.0, vehicles=(one,)))
    assert (volumes(log, "north_1"), volumes(log, "north_2")) == (0, 1)
    (speed,) = [r.body["speed"]["mean"] for r in of(log, "traffic", "north_2") if r.body["volume"]]
    assert speed == pytest.approx(36.0, abs=0.5)


if __name__ == "__main__":
    print(hashlib.sha256(_run_broken(Path(sys.argv[1]))).hexdigest())
