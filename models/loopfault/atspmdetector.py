"""What the package `atspm-detector` says of the health of logged detectors: a baseline, at a desk.

Published on PyPI (MIT): rules on the whole log, with limits by type of detector and length of the
log. It needs an environment with `pip install 'atspm-detector==1.1.0' 'duckdb<2' pyarrow`. Its
statuses `suspect` and `bad` count as flags, as in its own figures.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

FLAGS: Final = ("suspect", "bad")


class DetectorHealth(NamedTuple):
    """A detector of a signal, and why it has this status."""

    signal: str
    line: str
    status: str
    reason: str

    @property
    def flagged(self) -> bool:
        """Whether its data are in doubt."""
        return self.status in FLAGS


def detector_health(log: Path) -> list[DetectorHealth]:
    """Of each detector of a log in Parquet. Raises ModuleNotFoundError where it is not there."""
    pandas: Any = import_module("pandas")
    package: Any = import_module("atspm_detector")
    events = pandas.read_parquet(log).rename(columns={"TimeStamp": "Timestamp"})
    found = package.predict(events)
    columns = (found[name] for name in ("DeviceId", "Detector", "health_status", "health_reason"))
    return [
        DetectorHealth(str(signal), f"D{detector}", str(status), str(reason))
        for signal, detector, status, reason in zip(*columns, strict=True)
    ]
