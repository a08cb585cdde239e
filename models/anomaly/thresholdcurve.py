"""What another threshold of onset would give: NAB's score beside the false alarms in real series.

One threshold ships, and the two want different ones. All are judged by the graph, hours known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from edge.infer.bundlemanifest import read_manifest
from models.anomaly import daemonrun, faultscores, nab
from models.anomaly.labelledseries import NAB_TUNED, Series

THRESHOLDS: Final = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def table(
    groups: Mapping[str, Sequence[Series]],
    bundle: Path,
    files: Sequence[nab.NabFile],
    onsets: Sequence[NDArray[Any]],
) -> Iterator[str]:
    """A line for each threshold; `onsets` are those of the files."""
    off = read_manifest(bundle).off
    pairs = {name: daemonrun.by_graph(bundle, series) for name, series in groups.items()}
    heads = [f"{name}: F1, false / 1,000" for name in groups]
    yield f"| onset >= | NAB, tuned on | NAB, others | {' | '.join(heads)} |"
    yield "|---" * (3 + len(heads)) + "|"
    for on in THRESHOLDS:
        cells = []
        for tuned in (True, False):
            mine = [i for i, f in enumerate(files) if (f.series.name in NAB_TUNED) == tuned]
            at = [nab.detections_at(on, onsets[i]) for i in mine]
            cells.append(f"{nab.normalised_score([files[i] for i in mine], at):.1f}")
        for name, series in groups.items():
            tally = faultscores.FaultTally()
            for one, pair in zip(series, pairs[name], strict=True):
                alarms = faultscores.alarm_samples(*pair, on, off)
                faultscores.add_series(tally, one, alarms)
            found = f"{tally.f1:.2f}, " if tally.faults else ""
            cells.append(f"{found}{tally.wrong_per_1000:.2f}")
        yield f"| {on:g} | {' | '.join(cells)} |"
