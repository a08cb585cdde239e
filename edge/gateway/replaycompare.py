"""Replays recorded edges with two bundles of one model and says where flags and p differ."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from edge.config import Site
from edge.core import Stream
from edge.gateway.pipeline import Pipeline
from edge.gateway.replaying import Replay, open_edges, read_edge_rows
from edge.gateway.wiring import Wiring
from edge.infer.bundlemanifest import ModelError, read_manifest
from models import BUNDLES


class FlagChange(NamedTuple):
    """A flag went on or off with the window that ends at `end_ns` of the recording."""

    end_ns: int
    event: str
    source: str
    point: str
    state: str
    by: str


@dataclass(frozen=True, slots=True)
class ReplayFlags:
    """What one replay said: turns of flags, and p of congestion by window and lane."""

    changes: list[FlagChange]
    p: dict[tuple[int, str], float]


def replay_flags(site: Site, edges: Path, bundle: Path) -> ReplayFlags:
    """Replay with this bundle in the place of the one of its name; the others as configured.

    Raises ConfigError, ModelError, OSError, EOFError or zlib.error.
    """
    name = read_manifest(bundle).name
    shipped = Path(site.models.dir) if site.models.dir else BUNDLES
    with tempfile.TemporaryDirectory() as folder:
        for path in shipped.iterdir():
            if (path / "manifest.json").is_file() and path.name != name:
                (Path(folder) / path.name).symlink_to(path.resolve())
        (Path(folder) / name).symlink_to(bundle.resolve())
        models = msgspec.structs.replace(site.models, dir=folder)
        out, why = _replayed(replace(site, models=models), edges, name)
    if why:
        raise ModelError(f"{bundle} did not answer all the time: {why}")
    return out


def _replayed(site: Site, edges: Path, name: str) -> tuple[ReplayFlags, str]:
    """What it said; and why the rule answered in its place at some time, if it did."""
    parts = Wiring.of(site)
    pipeline = parts.pipeline(replayed=True)
    pipeline.load()
    replay = Replay(pipeline, parts, site.period_ns)
    out, window_ns, why = ReplayFlags([], {}), 0, ""
    with open_edges(edges) as file:
        for record in replay.run(read_edge_rows(file)):
            body = record.body
            if record.to_ns > window_ns:
                window_ns, why = record.to_ns, why or _failed(pipeline, name)
            if record.key.stream is Stream.EVENT and body.get("state") in ("on", "off"):
                point, by = str(body.get("point") or ""), str(body.get("by") or "")
                out.changes.append(
                    FlagChange(record.to_ns, body["event"], record.source, point, body["state"], by)
                )
            elif record.key.stream is Stream.TRAFFIC and body.get("p_congested") is not None:
                out.p[record.to_ns, record.source] = float(body["p_congested"])
    return out, why or _failed(pipeline, name)


def _failed(pipeline: Pipeline, name: str) -> str:
    """Why the rule answers now; empty if the model does."""
    one = pipeline.judge.status()[name]
    return one["why"] if one and one["answers"] == "rule" else ""


def flag_differences(a: ReplayFlags, b: ReplayFlags) -> dict[str, Any]:
    """Turns that only one of them has, and the mean absolute difference of p."""
    keys = [{change[:-1] for change in one.changes} for one in (a, b)]
    both = a.p.keys() & b.p.keys()
    apart = [abs(a.p[key] - b.p[key]) for key in both]
    return {
        "turns_a": len(a.changes),
        "turns_b": len(b.changes),
        "only_a": [_turn(change) for change in a.changes if change[:-1] not in keys[1]],
        "only_b": [_turn(change) for change in b.changes if change[:-1] not in keys[0]],
        "windows": len(both),
        "difference": round(sum(apart) / len(apart), 4) if apart else None,
        "largest": round(max(apart), 3) if apart else None,
    }


def _turn(change: FlagChange) -> dict[str, Any]:
    fields = {**change._asdict(), "at_s": round(change.end_ns / 1e9, 3)}
    del fields["end_ns"]
    return fields
