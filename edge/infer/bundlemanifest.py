"""Reads a bundle's manifest: what the model is, what goes in and out, and when not to trust it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

COPY_HINT: Final = "copy the bundle here again, whole: its files belong together"


class ModelError(Exception):
    """A model cannot be used: it is missing, does not prove itself, or answered what cannot be.

    `do` says to people what to do about it, where there is something.
    """

    def __init__(self, text: str, do: str = "") -> None:
        super().__init__(text)
        self.do = do


class ModelInputError(ModelError):
    """What was to be given to the model is wrong: that is no fault of the model."""


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output tensor: columns, and the range that its values must keep (None: any number)."""

    name: str
    width: int
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class ReferenceDistribution:
    """How one column of a tensor was spread in training: bin i holds edges[i-1] < v <= edges[i].

    `mask` is the tensor and column that is 1 in the rows which count; None: all rows count.
    """

    tensor: str
    column: int
    name: str
    edges: tuple[float, ...]
    shares: tuple[float, ...]  # one more than edges; they add up to 1
    mask: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class BundleManifest:
    """What `manifest.json` says. Times in milliseconds, `tolerance` absolute and relative.

    `budget_mb` is by how much loading may grow the process; None: any growth is allowed.
    """

    name: str
    version: str
    file: str
    sha256: str
    inputs: Mapping[str, int]
    outputs: tuple[OutputSpec, ...]
    start: tuple[float, ...]
    times_first: tuple[float, ...]
    on: float
    off: float
    tolerance: float
    budget_ms: float
    budget_mb: float | None = None
    reference: tuple[ReferenceDistribution, ...] = ()
    opset: int | None = None
    ir: int | None = None
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def by(self) -> str:
        """How flags name it."""
        return f"model {self.name} {self.version}"

    @property
    def fed(self) -> Mapping[str, int]:
        """The inputs but the state: what a judge gives to it."""
        return {name: width for name, width in self.inputs.items() if name != "state"}


def read_manifest(folder: Path) -> BundleManifest:
    """Raises ModelError when it is missing or not a manifest."""
    path = folder / "manifest.json"
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        state = raw["state"]
        start = tuple(float(v) for v in state["start"])
        budget_mb = raw.get("budget_mb")
        return BundleManifest(
            name=str(raw["name"]),
            version=str(raw["version"]),
            file=Path(str(raw["file"])).name,
            sha256=str(raw["sha256"]),
            inputs={str(name): int(width) for name, width in raw["inputs"].items()},
            outputs=tuple(
                OutputSpec(name, int(o["width"]), o.get("low"), o.get("high"))
                for name, o in raw["outputs"].items()
            ),
            start=start,
            times_first=tuple(float(v) for v in state.get("times_first", [0.0] * len(start))),
            on=float(raw["flags"]["on"]),
            off=float(raw["flags"]["off"]),
            tolerance=float(raw["tolerance"]),
            budget_ms=float(raw["budget_ms"]),
            budget_mb=None if budget_mb is None else float(budget_mb),
            reference=tuple(_reference(raw, one) for one in raw.get("reference", ())),
            opset=None if raw.get("opset") is None else int(raw["opset"]),
            ir=None if raw.get("ir") is None else int(raw["ir"]),
            training=dict(raw.get("training") or {}),
        )
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}", COPY_HINT) from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(f"{path}: not a manifest: {error!r}", COPY_HINT) from error


def _reference(raw: Mapping[str, Any], one: Mapping[str, Any]) -> ReferenceDistribution:
    edges, shares = _numbers(one["edges"]), _numbers(one["shares"])
    if len(shares) != len(edges) + 1 or list(edges) != sorted(set(edges)):
        raise ValueError(f"{len(edges)} edges that grow need {len(edges) + 1} shares")
    if min(shares) < 0 or abs(sum(shares) - 1.0) > 0.01:
        raise ValueError("shares are not parts of one whole")
    mask = one.get("mask")
    widths = {**{n: int(o["width"]) for n, o in raw["outputs"].items()}, **raw["inputs"]}
    out = ReferenceDistribution(
        str(one["tensor"]), int(one["column"]), str(one["name"]), edges, shares,
        None if mask is None else (str(mask[0]), int(mask[1])),
    )  # fmt: skip
    for tensor, column in [(out.tensor, out.column), *([out.mask] if out.mask else [])]:
        if not 0 <= column < widths[tensor]:
            raise ValueError(f"{tensor} has no column {column}")
    return out


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    out = tuple(float(v) for v in values)
    if not all(math.isfinite(v) for v in out):
        raise ValueError("not finite")
    return out
