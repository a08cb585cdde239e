"""Whether the gateways that somebody expects are heard, and within the time that each promises.

A gateway is heard when it sends: what the broker kept of it (retained) proves nothing about now,
but says how often it sends, and whether it has said goodbye. Times are seconds of one clock that
never jumps.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge.core.humanize import span_text
from edge.core.printable import quote_name
from edge.wire import DecodedMessage

PERIOD_S: Final = 60.0  # where no description has told it; also the default of a site file
SAVING_S: Final = 900.0  # a gateway that saves data sends together every quarter of an hour
PERIODS: Final = 2  # of silence that are no news
SLACK_S: Final = 30.0  # a window closes a little late, and a link needs its time
LONGEST_S: Final = 7200.0  # whatever a description says


@dataclass(slots=True)
class ExpectedGateway:
    """One of them. `heard_s` None: not yet; `what` it sent last."""

    name: str  # as it is expected: its own or, where two sites have one of that name, SITE/GATEWAY
    heard_s: float | None = None
    what: str = ""
    period_s: float | None = None  # as its description tells
    saves_data: bool = False
    offline: str = ""  # why, as it or its broker has said
    overdue: bool = False

    @property
    def every_s(self) -> float:
        """How often it sends at least."""
        period_s = self.period_s or PERIOD_S
        return max(period_s, SAVING_S) if self.saves_data else period_s

    @property
    def limit_s(self) -> float:
        """Silence that is no news."""
        return PERIODS * self.every_s + SLACK_S


class ExpectedGateways:
    """Of one subscription, which began at `start_s`. Bounded by who is expected."""

    def __init__(self, names: Iterable[str], start_s: float) -> None:
        self._start_s = start_s
        self._known = {name: ExpectedGateway(name) for name in dict.fromkeys(names)}

    def __bool__(self) -> bool:
        return bool(self._known)

    def promises(self) -> Iterator[str]:
        """What is said before anything is heard: when a warning comes."""
        for one in self._known.values():
            yield (
                f"{one.name} is expected: a warning comes after {one.limit_s:.0f} s of silence, or"
                f" later if its description says that it sends more rarely than every"
                f" {one.every_s:.0f} s"
            )

    def take(self, message: DecodedMessage, now_s: float, *, retained: bool) -> None:
        """A message of any gateway."""
        place = message.topic
        for name in (place.gw, f"{place.site}/{place.gw}"):
            one = self._known.get(name)
            if one is not None:
                self._take(one, message, now_s, retained)

    def _take(
        self, one: ExpectedGateway, message: DecodedMessage, now_s: float, retained: bool
    ) -> None:
        data = message.data
        match message.kind:
            case "meta":
                one.period_s = _period_s(data) or one.period_s
            case "status" if data.get("state") == "offline":
                one.offline = str(data.get("why", "lost"))
                return  # the broker may have said it in its place
            case "status":
                one.offline = ""
                saver = data.get("data_saver")
                level = saver.get("level") if isinstance(saver, Mapping) else None
                one.saves_data = isinstance(level, int) and level > 0
        if retained or message.kind == "last":
            return
        place = message.topic
        one.heard_s, one.offline = now_s, ""
        one.what = f"{place.stream or place.kind}/{place.source}".rstrip("/")

    def changes(self, now_s: float) -> Iterator[str]:
        """What is to be said now: who is overdue, once, and who is heard again."""
        for one in self._known.values():
            overdue = self._is_overdue(one, now_s)
            if overdue and not one.overdue:
                yield f"{one.name}: {self._silence(one, now_s)}"
            elif one.overdue and not overdue:
                yield f"{one.name}: heard again ({quote_name(one.what)})"
            one.overdue = overdue

    def missing(self, now_s: float) -> list[str]:
        """Those that were not heard, or not within their time; at the end."""
        return [one.name for one in self._known.values() if self._is_missing(one, now_s)]

    def sentences(self, now_s: float) -> list[str]:
        """When each was heard last."""
        found = []
        for one in self._known.values():
            if self._is_missing(one, now_s):
                found.append(f"expected {one.name}: {self._silence(one, now_s)}")
            else:
                ago = span_text(now_s - (one.heard_s or now_s))
                found.append(f"expected {one.name}: heard {ago} ago ({quote_name(one.what)})")
        return found

    def facts(self, now_s: float) -> dict[str, dict[str, Any]]:
        """The same for programs."""
        return {
            one.name: {
                "heard": not self._is_missing(one, now_s),
                "age_s": None if one.heard_s is None else round(now_s - one.heard_s, 1),
                "expected_s": one.limit_s,
                "offline": one.offline or None,
            }
            for one in self._known.values()
        }

    def _is_overdue(self, one: ExpectedGateway, now_s: float) -> bool:
        since_s = self._start_s if one.heard_s is None else one.heard_s
        return now_s - since_s > min(one.limit_s, LONGEST_S)

    def _is_missing(self, one: ExpectedGateway, now_s: float) -> bool:
        return one.heard_s is None or self._is_overdue(one, now_s)

    def _silence(self, one: ExpectedGateway, now_s: float) -> str:
        often = f"it sends every {span_text(one.every_s)}"
        if one.period_s is None:
            often = "it has no description (meta) at this broker, so it may never have been here"
        if one.heard_s is None:
            text = f"nothing heard in {span_text(now_s - self._start_s)}; {often}"
            if one.period_s is not None and not self._is_overdue(one, now_s):
                text += f": listen for {span_text(one.limit_s)}"
        else:
            text = f"last heard {span_text(now_s - one.heard_s)} ago; {often}"
        why = {"lost": "its connection broke", "stopped": "it was stopped"}.get(one.offline)
        return f"{text}. It is offline: {why}" if why else text


def _period_s(data: Mapping[str, Any]) -> float | None:
    """As a stranger's description tells it, if that can be."""
    period_s = data.get("period_s")
    if isinstance(period_s, bool) or not isinstance(period_s, (int, float)):
        return None
    return float(period_s) if 0 < period_s <= LONGEST_S else None
