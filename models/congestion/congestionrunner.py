"""Runs what is to be compared over rows: the bundle as it ships, the rule inside, a fixed rule."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.infer.occupancy import OFF_ODDS
from models.congestion import tuning
from models.congestion.approachrows import ApproachRow
from models.congestion.congestionstate import NEVER_S, OWN, POSITIONS, STALE_S
from models.congestion.formula import PositionRule
from models.congestion.treelearning import row_rhythm, usual_days

UNKNOWN: Final = -20.0  # odds of what is not known
FIXED: Final = (0.3, 0.27)  # occupancy at which the flag of the usual fixed rule goes on and off

Series = NDArray[np.float64]


def rule_chances(rows: Sequence[ApproachRow], rules: Mapping[str, PositionRule]) -> list[Series]:
    """What the rule says at each position of each row [S, OWN], by slot: 0 at its threshold."""
    out = [np.full((len(row.ends_s), OWN), UNKNOWN) for row in rows]
    for k, position in enumerate(POSITIONS):
        rule = rules[position]
        here = [i for i, row in enumerate(rows) if row.present[:, k].any()]
        those = [rows[i] for i in here]
        move = (rule.threshold, rule.follow, -OFF_ODDS / rule.slope)
        moves = tuning.moved_thresholds(those, k, rule, [move]) if here else []
        for i, row, steps in zip(here, those, moves, strict=True):
            fresh = position_ages(row, k) < STALE_S
            level = tuning.smoothed_occupancy(row, k, rule.aggregate, rule.tau_s) - steps[:, 0]
            out[i][fresh, k] = (rule.slope * (level - rule.threshold))[fresh]
    beside = [rules[position].beside for position in POSITIONS]
    return [chances_beside(chances, beside) for chances in out]


def chances_beside(chances: Series, beside: Sequence[float]) -> Series:
    """Odds by position, less what each needs more where other positions are known, too."""
    known = chances > UNKNOWN
    several = known.sum(axis=1, keepdims=True) > 1
    return np.where(known & several, chances - np.asarray(beside), chances)


def rule_odds(rows: Sequence[ApproachRow], rules: Mapping[str, PositionRule]) -> list[Series]:
    """What the tuned rule says of each row, slot by slot: its position that is surest."""
    return [chances.max(axis=1) for chances in rule_chances(rows, rules)]


def position_ages(row: ApproachRow, position: int) -> Series:
    """Seconds since a believed loop of the position spoke."""
    out, age = np.zeros(len(row.ends_s)), NEVER_S
    for i, (there, dt_s) in enumerate(zip(row.present[:, position], row.dt_s, strict=True)):
        age = 0.0 if there else age + float(dt_s)
        out[i] = age
    return out


def fixed_rule(row: ApproachRow, over_s: float = 60.0) -> Series:
    """Mean occupancy of the best position in the last minute; nobody's faults are known to it."""
    out = np.zeros(len(row.ends_s))
    for k in reversed(range(OWN)):
        there = row.present[:, k] > 0
        out[there] = row.x[there, k]
    count = max(1, math.floor(over_s / float(row.dt_s[0])))
    return np.convolve(out, np.ones(count) / count)[: len(out)]


def rules_of(manifest: Mapping[str, Any]) -> dict[str, PositionRule]:
    """The rule as the manifest tells it."""
    return {position: PositionRule(**values) for position, values in manifest["positions"].items()}


class ShippedBundle:
    """The shipped graph and its manifest."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        manifest_map: dict[str, Any] = json.loads(
            (folder / "manifest.json").read_text(encoding="utf-8")
        )
        self.manifest = manifest_map
        self.outputs = list(manifest_map["outputs"])
        runtime: Any = onnxruntime  # it has no types of its own
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = runtime.InferenceSession(
            str(folder / manifest_map["file"]), options, providers=["CPUExecutionProvider"]
        )

    def run(self, rows: Sequence[ApproachRow]) -> list[dict[str, NDArray[Any]]]:
        """For each row its outputs by name, [S]; the state is not among them."""
        out: list[dict[str, NDArray[Any]]] = [{} for _ in rows]
        groups: dict[bytes, list[int]] = {}
        for i, row in enumerate(rows):
            groups.setdefault(row_rhythm(row), []).append(i)
        for at in groups.values():
            for i, result in zip(at, self._batch([rows[i] for i in at]), strict=True):
                out[i] = result
        return out

    def _batch(self, rows: Sequence[ApproachRow]) -> list[dict[str, NDArray[Any]]]:
        length = len(rows[0].dt_s)
        names = [name for name in self.outputs if name not in ("state_out", "slow")]
        state = np.tile(np.asarray(self.manifest["state"]["start"], np.float32), (len(rows), 1))
        width = self.manifest["inputs"]["x"]  # older bundles do not take the last blocks
        for x, present, dt in usual_days(rows):
            inputs = {"x": x[:, :width], "present": present, "dt": dt, "state": state}
            (state,) = self._session.run(["state_out"], inputs)
        outputs = np.zeros((len(names), length, len(rows)), np.float32)
        for i in range(length):
            inputs = {
                "x": np.stack([row.x[i, :width] for row in rows]),
                "present": np.stack([row.present[i] for row in rows]),
                "dt": np.full((len(rows), 1), rows[0].dt_s[i], np.float32),
                "state": state,
            }
            answer = dict(zip(self.outputs, self._session.run(self.outputs, inputs), strict=True))
            state = answer["state_out"]
            for k, name in enumerate(names):
                outputs[k, i] = answer[name][:, 0]
        return [{n: outputs[k, :, j] for k, n in enumerate(names)} for j in range(len(rows))]
