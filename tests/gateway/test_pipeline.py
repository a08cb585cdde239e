"""Engine and judge, joined: where a model cannot answer its rule does, and the flag says who."""

import hashlib
import importlib.util
import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import to_builtins

from edge.core import Contact, Draft, Stream
from edge.gateway.pipeline import Pipeline
from edge.infer.judge import Judge, JudgeSetup, LaneSite
from edge.process.enginesetup import EngineSetup
from models import BUNDLES
from tests.kit.asread import as_read
from tests.kit.engine import (
    AIR,
    HEAT,
    METER,
    MINUTE,
    PAIR,
    SINGLE,
    S,
    found,
    presences,
    sweeps,
)
from tests.long import one_in

SITE = EngineSetup((PAIR, SINGLE), (AIR, METER), (HEAT,))
LANES = tuple(LaneSite(lane.name, lane.approach, "corridor") for lane in (PAIR, SINGLE))
MINUTES = 50
JUMP = 45  # the minute in which the load becomes another
RULES = {"congestion": "rule occupancy", "anomaly": "rule robust z"}


def pipeline(folder: Path | None = None, setup: EngineSetup = SITE) -> Pipeline:
    made = Pipeline(setup, Judge(JudgeSetup(LANES, hurry=False), folder))
    made.engine.start(0)
    return made


def street() -> list[Contact]:
    """A loop over which a jam creeps, and a load of 1 kW that is four suddenly."""
    contacts = found("east_1.lead", "heat", "north_1.lead", "north_1.trail")
    contacts += presences("east_1.lead", *((10.0 * i, 10.0 * i + 0.4) for i in range(1, 30)))
    contacts += presences("east_1.lead", *((310.0 + 8 * i, 317.0 + 8 * i) for i in range(60)))
    contacts += presences("east_1.lead", *((800.0 + 9 * i, 800.4 + 9 * i) for i in range(200)))
    at, pulses = 1.0, []
    while at < MINUTES * 60 - 1:
        pulses.append((at, at + 0.05))
        at += 3.6 + 0.1 * (len(pulses) % 7) if at < JUMP * 60 else 0.9
    return sorted(contacts + presences("heat", *pulses), key=lambda c: c.mono_ns)


def played(one: Pipeline) -> list[Draft]:
    contacts, drafts = street(), list[Draft]()
    for minute in range(MINUTES):
        now = [c for c in contacts if minute * MINUTE <= c.mono_ns < (minute + 1) * MINUTE]
        drafts += one.engine.contacts(now)
        drafts += one.engine.close((minute + 1) * MINUTE)
    return drafts


def flags(drafts: Sequence[Draft], kind: str) -> list[Any]:
    return [as_read(d) for d in drafts if d.stream is Stream.EVENT and as_read(d)["event"] == kind]


# -- ways in which a bundle may be broken ----------------------------------------------------------


def flipped(bundle: Path, name: str) -> None:
    path = bundle / f"{name}.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def cut(bundle: Path, name: str) -> None:
    path = bundle / f"{name}.onnx"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def wrong_sum(bundle: Path, name: str) -> None:
    manifest(bundle, sha256="0" * 64)


def nonsense(bundle: Path, name: str) -> None:
    """Its checksum is right, and it is no model."""
    data = b"this is no model" * 100
    (bundle / f"{name}.onnx").write_bytes(data)
    manifest(bundle, sha256=hashlib.sha256(data).hexdigest())


def no_model(bundle: Path, name: str) -> None:
    (bundle / f"{name}.onnx").unlink()


def no_manifest(bundle: Path, name: str) -> None:
    (bundle / "manifest.json").unlink()


def broken_manifest(bundle: Path, name: str) -> None:
    (bundle / "manifest.json").write_text('{"name": ')


def other_cases(bundle: Path, name: str) -> None:
    """The golden cases of another model: it does not reproduce them."""
    path = bundle / "golden.json"
    cases = json.loads(path.read_text())
    for case in cases["cases"]:
        for rows in case["outputs"].values():
            rows[:] = [[value + 0.3 for value in row] for row in rows]
    path.write_text(json.dumps(cases))


def no_cases(bundle: Path, name: str) -> None:
    (bundle / "golden.json").unlink()


def nothing(bundle: Path, name: str) -> None:
    shutil.rmtree(bundle)


def manifest(bundle: Path, **words: Any) -> None:
    path = bundle / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **words}))


DAMAGES = (
    flipped, cut, wrong_sum, nonsense, no_model, no_manifest, broken_manifest, other_cases,
    no_cases, nothing,
)  # fmt: skip


@one_in(3)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_corrupt_model_is_said_and_its_rule_answers(
    tmp_path: Path, damage: Callable[[Path, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "models"
    shutil.copytree(BUNDLES, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for name in RULES:
        damage(folder / name, name)
    one = pipeline(folder)
    one.load()
    drafts = played(one)
    for name, rule in RULES.items():
        raised = [flag for flag in flags(drafts, name) if flag["state"] == "on"]
        assert raised, f"the {rule} saw nothing"
        assert {flag["by"] for flag in raised} == {rule}
        assert all(rule in flag["text"] for flag in raised)
        reported = to_builtins(one.judge.models())[name]
        assert (reported["answers"], bool(reported["why"])) == ("rule", True)
        assert [r for r in caplog.records if f"model {name}" in r.getMessage()], "nobody is told"
    lanes = [d for d in drafts if d.source == "east_1" and d.stream is Stream.TRAFFIC]
    assert len(lanes) == MINUTES


def test_one_corrupt_model_does_not_take_the_other_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    shutil.copytree(BUNDLES, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    cut(folder / "congestion", "congestion")
    one = pipeline(folder)
    one.load()
    drafts = played(one)
    assert {f["by"] for f in flags(drafts, "congestion")} == {"rule occupancy"}
    odd = flags(drafts, "anomaly")
    assert odd
    by = "model" if importlib.util.find_spec("onnxruntime") else "rule"
    assert to_builtins(one.judge.models())["anomaly"]["answers"] == by
    assert all(f["by"].startswith(f"{by} ") for f in odd)


def test_whole_models_answer_and_say_their_version() -> None:
    pytest.importorskip("onnxruntime")
    one = pipeline()
    one.load()
    drafts = played(one)
    for name in RULES:
        raised = [flag for flag in flags(drafts, name) if flag["state"] == "on"]
        assert raised
        assert all(flag["by"].startswith(f"model {name} ") for flag in raised)


def test_until_models_are_loaded_rules_answer() -> None:
    drafts = played(pipeline())
    assert {f["by"] for f in flags(drafts, "congestion")} == {"rule occupancy"}


def test_loading_twice_loads_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one, count = pipeline(), []
    monkeypatch.setattr(one.judge, "load", lambda: count.append(1))
    one.load()
    one.load()
    assert count == [1]


def test_records_come_before_the_flags_that_they_raise() -> None:
    one = pipeline()
    one.engine.contacts(street())
    for minute in range(MINUTES):
        drafts = one.engine.close((minute + 1) * MINUTE)
        kinds = [d.stream is Stream.EVENT for d in drafts]
        assert kinds == sorted(kinds)
        assert all(d.to_ns == (minute + 1) * MINUTE for d in drafts)


def test_every_source_has_a_record_in_every_window() -> None:
    one = pipeline()
    one.engine.sweeps(sweeps("hut_air", [(t, (9.5, 20.0)) for t in range(60)]))
    drafts = one.engine.close(MINUTE)
    assert {d.source for d in drafts} == set(SITE.names())
    assert all((d.from_ns, d.to_ns) == (0, MINUTE) for d in drafts)


def test_a_gap_reaches_engine_and_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    one, reported = pipeline(), list[tuple[int, int]]()
    monkeypatch.setattr(one.judge, "missing", lambda a, b: reported.append((a, b)))
    one.engine.contacts(found("east_1.lead"))
    one.lost(20 * S, 50 * S)
    lane = next(d for d in one.engine.close(MINUTE) if d.source == "east_1")
    assert reported == [(20 * S, 50 * S)]
    assert as_read(lane)["covered_s"] <= 20.0


def test_a_snapshot_is_as_of_the_last_window() -> None:
    one = pipeline()
    one.engine.contacts(street()[:500])
    one.engine.close(MINUTE)
    before = one.engine.snapshot()
    one.engine.contacts(street()[500:600])
    assert one.engine.snapshot() == before
    again = pipeline()
    again.engine.restore(before)
    assert again.engine.snapshot() == before


@one_in(2)
@pytest.mark.parametrize("loaded", [True, False])
def test_a_window_that_is_cut_short_raises_no_flag(loaded: bool) -> None:
    """A stop, or the first synchronisation: fewer samples scatter more, and mean no trouble."""

    def wave(t_s: float, *parts: tuple[float, float]) -> float:
        return sum(a * math.sin(2 * math.pi * t_s / p) for a, p in parts)

    def sample(t_s: float) -> tuple[tuple[float, float], tuple[float, float]]:
        dust = 9.5 + wave(t_s, (1.2, 900), (0.4, 47), (0.3, 13))
        power = 600 + wave(t_s, (60, 300), (15, 17))
        return (round(dust, 1), 17.5), (round(power, 1), 5230 + math.floor(t_s / 6) / 1000)

    def read(one: Pipeline, seconds: range) -> None:
        one.engine.sweeps(sweeps("hut_air", [(t + 0.3, sample(t)[0]) for t in seconds]))
        one.engine.sweeps(sweeps("main_meter", [(t + 0.3, sample(t)[1]) for t in seconds]))

    wrong = []
    for phase in range(12):
        one = pipeline(setup=EngineSetup(devices=(AIR, METER), period_ns=5 * S))
        if loaded:
            one.load()
        end_s = 600 + 5 * phase
        for end in range(5, end_s + 5, 5):
            read(one, range(end - 5, end))
            assert not flags(one.engine.close(end * S), "anomaly"), end
        read(one, range(end_s, end_s + 1))
        wrong += flags(one.engine.close(end_s * S + 700_000_000, partial=True), "anomaly")
    assert [flag["text"] for flag in wrong] == []
