"""Draws events that the model misses, as timelines in text.

    python -m models.congestion.missedevents --streets DIR [--bundle FOLDER] [--most 3]

One column is one slot, from five minutes before the onset. `truth` is # in the event; `flag` is #
where the flag is up; occupancy and p are digits: 0 is below 10 %, 9 is 90 % and more. Drawn are the
longest events on links with signals that were missed with sound loops, one for each link.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.congestion.approachrows import ApproachRow
from models.congestion.congestionrunner import ShippedBundle
from models.congestion.congestionstate import OWN, POSITIONS
from models.congestion.evaluate import model_flags, played
from models.congestion.eventscores import EARLY_S, flag_starts
from models.congestion.scenarios.simstreet import Interval, find_streets, load_street, load_usual
from models.congestion.scoretables import KINDS

BEFORE_S: Final = 300.0
COLUMNS: Final = 80  # slots that are drawn

Values = NDArray[np.float64]


def missed_events(row: ApproachRow, flag: NDArray[np.bool_]) -> list[Interval]:
    """The events in which no alarm starts, nor shortly before."""
    alarms_s = row.ends_s[flag_starts(flag)]
    return [
        (begin, end)
        for begin, end in row.link.events
        if not ((alarms_s >= begin - EARLY_S) & (alarms_s <= end)).any()
    ]


def timeline(row: ApproachRow, output: dict[str, NDArray[Any]], event: Interval) -> Iterator[str]:
    """What loops and model said of one event, line by line."""
    begin, end = event
    at = np.flatnonzero((row.ends_s >= begin - BEFORE_S) & (row.ends_s <= end + 60.0))[:COLUMNS]
    link = row.link
    moments = np.minimum((row.ends_s[at] / 10.0).astype(int), len(link.speed) - 1)
    speed = 3.6 * np.nan_to_num(link.speed[moments])
    yield (
        f"{row.street} {link.name}: {link.lanes} lanes, {link.length_m:.0f} m, "
        f"{link.limit_kmh:.0f} km/h; {end - begin:.0f} s from {begin:.0f} s on, "
        f"down to {speed.min():.0f} km/h; slots of {row.dt_s[0]:.0f} s"
    )
    yield f"  {'truth':9}{_marks((row.ends_s[at] >= begin) & (row.ends_s[at] < end))}"
    for k, position in enumerate(POSITIONS[:OWN]):
        if row.present[at, k].any():
            yield f"  {position:9}{_digits(row.x[at, k])}"
    yield f"  {'p':9}{_digits(output['p'][at])}"
    yield f"  {'flag':9}{_marks(output['flag'][at])}"


def _marks(there: NDArray[np.bool_]) -> str:
    return "".join("#" if one else "." for one in there)


def _digits(values: NDArray[Any]) -> str:
    return "".join(str(min(9, int(10 * value))) for value in values)


def drawn_misses(streets: Path, bundle: Path, most: int) -> Iterator[str]:
    """The longest missed events on links with signals."""
    every = [(load_street(place), load_usual(place)) for place in find_streets(streets)]
    rows = [row for row in played(every, 0.0, "judged") if KINDS["with signals"](row)]
    shipped = ShippedBundle(bundle)
    outputs = shipped.run(rows)
    model_flags(shipped, rows, outputs)
    missed = [
        (end - begin, i, (begin, end))
        for i, (row, output) in enumerate(zip(rows, outputs, strict=True))
        for begin, end in missed_events(row, output["flag"])
    ]
    yield f"{len(missed)} events missed"
    drawn: set[int] = set()
    for _, i, event in sorted(missed, reverse=True):
        if i not in drawn and len(drawn) < most:
            drawn.add(i)
            yield ""
            yield from timeline(rows[i], outputs[i], event)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streets", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=Path(__file__).parent)
    parser.add_argument("--most", type=int, default=3)
    args = parser.parse_args()
    for line in drawn_misses(args.streets, args.bundle, args.most):
        print(line)


if __name__ == "__main__":
    main()
