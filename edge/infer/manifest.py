"""Reads a bundle's manifest: what the model is, what goes in and out, and when not to trust it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class ModelError(Exception):
    """A model cannot be used: it is missing, does not prove itself, or answered what cannot be."""


@dataclass(frozen=True, slots=True)
class Output:
    """One output tensor: columns, and the range that its values must keep (None: any number)."""

    name: str
    width: int
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `manifest.json` says. Times in milliseconds, `tolerance` absolute and relative."""

    name: str
    version: str
    file: str
    sha256: str
    inputs: Mapping[str, int]
    outputs: tuple[Output, ...]
    start: tuple[float, ...]
    times_first: tuple[float, ...]
    on: float
    off: float
    tolerance: float
    budget_ms: float

    @property
    def by(self) -> str:
        """How flags name it."""
        return f"model {self.name} {self.version}"


def read_manifest(folder: Path) -> Manifest:
    """Raises ModelError when it is missing or not a manifest."""
    path = folder / "manifest.json"
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        state = raw["state"]
        start = tuple(float(v) for v in state["start"])
        return Manifest(
            name=str(raw["name"]),
            version=str(raw["version"]),
            file=Path(str(raw["file"])).name,
            sha256=str(raw["sha256"]),
            inputs={str(name): int(width) for name, width in raw["inputs"].items()},
            outputs=tuple(
                Output(name, int(o["width"]), o.get("low"), o.get("high"))
                for name, o in raw["outputs"].items()
            ),
            start=start,
            times_first=tuple(float(v) for v in state.get("times_first", [0.0] * len(start))),
            on=float(raw["flags"]["on"]),
            off=float(raw["flags"]["off"]),
            tolerance=float(raw["tolerance"]),
            budget_ms=float(raw["budget_ms"]),
        )
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: not a manifest: {error!r}") from error
