"""Makes recorded edges and a configuration out of one simulated day, for `kerbstone replay`.

    python tests/sumo/convert.py SCENARIO OUT [--from S] [--to S] [--link e1] [--period 60]

SCENARIO is a folder with `meta.json` and `passages.parquet`. OUT gets `edges.csv.gz` (columns
t_ms,line,level) and `site.toml`. Needs pyarrow. Each detector becomes a lane with one loop; the
lanes of one link (arterial) or one station (corridor) are one approach.
"""

import argparse
import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

POSITIONS: Final = {"stop": "stop", "adv": "advance", "mid": "mid"}
LOOP_M: Final = 2.0


@dataclass(frozen=True)
class Loop:
    """One detector: its number in the table, its lane, approach and position."""

    number: int
    lane: str
    approach: str
    position: str


def loops(meta: dict[str, Any], link: str | None) -> list[Loop]:
    """All detectors of the scenario, or those of one link."""
    stations = {station["id"]: station for station in meta["stations"]}
    found = []
    for number, detector in enumerate(meta["detectors"]):
        station = stations[detector.rsplit("_", 1)[0]]
        corridor = meta["kind"] == "corridor"
        if link is None or station["edge"] == link:
            approach = station["id"] if corridor else station["edge"]
            position = "corridor" if corridor else POSITIONS[station["type"]]
            found.append(Loop(number, detector, approach, position))
    return found


def edges(on_ms: Sequence[int], dur_ms: Sequence[int], line: str) -> list[tuple[int, str, int]]:
    """Levels that alternate: vehicles that overlap on a loop are one presence."""
    rows: list[tuple[int, str, int]] = []
    until = -1
    for begin, length in sorted(zip(on_ms, dur_ms, strict=True)):
        end = begin + max(1, length)
        if begin <= until:
            rows[-1] = (max(until, end), line, 0)
        else:
            rows += [(begin, line, 1), (end, line, 0)]
        until = max(until, end)
    return rows


def site(chosen: Sequence[Loop], period_s: int) -> str:
    """A site.toml with these loops on one GPIO chip."""
    text = io.StringIO()
    text.write(f'[site]\nid = "sumo"\ngateway = "gw-sumo"\nperiod_s = {period_s}\n\n')
    text.write('[uplink]\nurl = "mqtt://localhost"\nconfirm = "broker"\n\n')
    text.write('[bus.loops]\nkind = "gpio"\nchip = "/dev/gpiochip0"\n')
    for loop in chosen:
        text.write(
            f'\n[lane.{loop.lane}]\napproach = "{loop.approach}"\nbus = "loops"\n'
            f'lead = "{loop.lane}"\nloop_m = {LOOP_M}\nactive = "high"\n'
            f'position = "{loop.position}"\n'
        )
    return text.getvalue()


def convert(
    scenario: Path,
    out: Path,
    from_s: float = 0,
    to_s: float = float("inf"),
    link: str | None = None,
    period_s: int = 60,
) -> dict[str, Any]:
    """Write both files; gives the scenario's `meta.json`. Times in the CSV begin at `from_s`."""
    import pyarrow.parquet as parquet

    meta: dict[str, Any] = json.loads((scenario / "meta.json").read_text(encoding="utf-8"))
    chosen = loops(meta, link)
    table = parquet.read_table(scenario / "passages.parquet").to_pydict()
    by_loop: dict[int, tuple[list[int], list[int]]] = {loop.number: ([], []) for loop in chosen}
    for number, on_ms, dur_ms in zip(table["det"], table["t_on"], table["dur"], strict=True):
        if number in by_loop and from_s * 1000 <= on_ms < to_s * 1000:
            by_loop[number][0].append(on_ms - round(from_s * 1000))
            by_loop[number][1].append(dur_ms)
    rows = [row for loop in chosen for row in edges(*by_loop[loop.number], loop.lane)]
    text = "t_ms,line,level\n" + "".join(f"{t},{line},{level}\n" for t, line, level in sorted(rows))
    out.mkdir(parents=True, exist_ok=True)
    (out / "edges.csv.gz").write_bytes(gzip.compress(text.encode(), 6, mtime=0))
    (out / "site.toml").write_text(site(chosen, period_s), encoding="utf-8")
    return meta


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--from", dest="from_s", type=float, default=0)
    parser.add_argument("--to", dest="to_s", type=float, default=float("inf"))
    parser.add_argument("--link")
    parser.add_argument("--period", type=int, default=60)
    args = parser.parse_args()
    convert(args.scenario, args.out, args.from_s, args.to_s, args.link, args.period)


if __name__ == "__main__":
    main()
