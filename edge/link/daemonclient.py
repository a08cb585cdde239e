"""What the daemon answers, and what is sent to it, through its control socket.

Verbs: `link_facts` (asked), `data_saver` and `link_step` (sent). What the daemon does not take is
kept, and stays in the journal and our state file.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edge.control.protocol import VerbError, ask_daemon
from edge.core import TimeQuality
from edge.core.reportlimits import ReportOnce
from edge.link.linkstate import TakenStep

log = logging.getLogger(__name__)

Ask = Callable[..., dict[str, object] | None]


@dataclass(frozen=True, slots=True)
class DaemonReport:
    """`wall_s` is None unless the daemon's clock is synchronised."""

    broker: bool | None = None
    faulty: bool | None = None
    wall_s: float | None = None


class DaemonClient:
    """The other end. Nothing here raises: no daemon is a usual state."""

    def __init__(self, folder: Path, ask: Ask = ask_daemon) -> None:
        self._folder, self._ask = folder, ask
        self._refused = ReportOnce[str]()  # verbs

    def report(self) -> DaemonReport:
        return _reach(self._request("link_facts") or {})

    def set_saver_level(self, level: int, why: str, used: int, budget: int, month: str) -> bool:
        request = {"level": level, "why": why, "used": used, "budget": budget, "month": month}
        return self._request("data_saver", **request) is not None

    def report_step(self, step: TakenStep) -> bool:
        return self._request("link_step", **msgspec.structs.asdict(step)) is not None

    def _request(self, verb: str, **arguments: Any) -> Mapping[str, Any] | None:
        try:
            answer = self._ask(self._folder, verb, **arguments)
        except VerbError as error:
            if self._refused.first(verb):
                log.info("the daemon does not accept %r: %s", verb, error)
            return None
        except OSError:
            return None
        self._refused.forget(verb)
        return answer


def _reach(found: Mapping[str, Any]) -> DaemonReport:
    """{"connected": true, "faults": 0, "tq": "ntp", "wall_s": 1790000000}"""
    connected, faults, wall_s = found.get("connected"), found.get("faults"), found.get("wall_s")
    tq = TimeQuality.parse(found.get("tq"))
    synced = tq is not None and tq.is_synchronised and isinstance(wall_s, int | float)
    return DaemonReport(
        connected if isinstance(connected, bool) else None,
        faults > 0 if isinstance(faults, int) else None,
        wall_s if synced else None,
    )
