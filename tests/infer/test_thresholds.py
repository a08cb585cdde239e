"""Flags go on and off at the thresholds of the model that speaks, not of the one that failed."""

import json
import shutil
from pathlib import Path
from typing import Any

from edge.core.looptick import LoopTick
from edge.infer.approaches import ApproachJudge
from edge.infer.loops.loopjudge import LoopJudge
from edge.infer.modelguard import ModelGuard
from edge.infer.series import SeriesJudge
from edge.infer.seriesfeatures import SeriesSample
from edge.infer.sites import LaneSite
from models import BUNDLES

SECOND = 1_000_000_000


def test_a_former_model_is_heard_with_its_own_thresholds(tmp_path: Path) -> None:
    guards = {}
    for name in ("anomaly", "congestion", "loopfault"):
        for folder in (tmp_path / name, tmp_path / f"{name}.previous"):
            shutil.copytree(BUNDLES / name, folder)
        path = tmp_path / f"{name}.previous" / "manifest.json"
        stated = json.loads(path.read_text(encoding="utf-8"))
        stated["flags"] = {"on": 0.875, "off": 0.125}
        path.write_text(json.dumps(stated), encoding="utf-8")
        (tmp_path / name / f"{name}.onnx").write_bytes(b"no model")
        guards[name] = ModelGuard(name, tmp_path / name)
    site = LaneSite("m", "m", "mid")
    approaches, loops = (
        ApproachJudge([site], guards["congestion"]),
        LoopJudge([site], [], guards["loopfault"]),
    )
    series = SeriesJudge(guards["anomaly"], 60.0)
    for now_ns in (30 * SECOND, 60 * SECOND):
        series.step(now_ns, 30.0, {("hut", "noise"): SeriesSample(50.0, 0.1)})
        ticks = [LoopTick("m", "lead", now_ns - 30 * SECOND, now_ns, 30 * SECOND, 0)]
        loops.step(now_ns, ticks)
        approaches.step(now_ns, ticks, {})
        flags: list[Any] = [*series._flags, *loops._flags.values(), *approaches._flags.values()]
        known = {(flag.on, flag.off) for flag in flags}
        assert ((0.875, 0.125) in known) is (now_ns > 30 * SECOND)
        assert all(guard.load() for guard in guards.values())
    assert len(known) == 1
