"""The ports of the gateway's parts, played: buses without threads, and a broker that only counts.

An example:

    buses = QuietBuses()
    committer = WindowCommitter(..., buses=buses, ...)
    buses.heard_ns = 5 * S  # from now on nobody has heard a line after that
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

FOREVER_NS: Final = 1 << 63  # as of buses without lines


@dataclass
class QuietBuses:
    """What a window asks of the buses; nothing moves but what the test sets."""

    heard_ns: int = FOREVER_NS
    learnt: Mapping[str, bytes] = field(default_factory=dict)

    def watched_until_ns(self) -> int:
        return self.heard_ns

    def snapshot_devices(self) -> Mapping[str, bytes]:
        return self.learnt


@dataclass
class CountedRetained:
    """Who is asked to publish the status and the description anew."""

    statuses: int = 0
    metas: int = 0
    saver_level: int = 0

    def publish_status(self) -> None:
        self.statuses += 1

    def publish_meta(self) -> None:
        self.metas += 1

    def set_saver_level(self, level: int) -> None:
        self.saver_level = level
