"""What devices say of themselves beside their values, and the events that come of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge.core import Condition, Draft, Stream


@dataclass(frozen=True, slots=True)
class Told:
    """One device: its serial number ("" if it tells none), and its conditions with their texts."""

    identity: str = ""
    health: Mapping[Condition, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, state: Mapping[str, Any]) -> "Told":
        """Raises KeyError, TypeError or ValueError for a state that is not one."""
        health = {Condition(word): str(text) for word, text in dict(state["health"]).items()}
        return cls(str(state["identity"]), health)

    def packed(self) -> dict[str, Any]:
        """For the outbox."""
        return {
            "identity": self.identity,
            "health": {str(word): text for word, text in self.health.items()},
        }


def changes(device: str, before: Told, now: Told, at_ns: int) -> Iterator[Draft]:
    """An event for each condition that came or went, and one when it is another device."""
    if before.identity not in ("", now.identity):
        yield _event(device, at_ns, {
            "event": "swap",
            "before": before.identity,
            "after": now.identity,
            "text": f"{device} is another device now: serial number {now.identity} in place of "
            f"{before.identity}. Its registers go on from where the new one stands.",
        })  # fmt: skip
    for word in sorted(before.health.keys() | now.health.keys()):
        if (word in before.health) is not (word in now.health):
            on = word in now.health
            text = now.health[word] if on else f"over: {before.health[word]}"
            yield _event(device, at_ns, {
                "event": "health",
                "state": "on" if on else "off",
                "condition": str(word),
                "text": f"{device}: {text}",
            })  # fmt: skip


def _event(device: str, at_ns: int, body: dict[str, Any]) -> Draft:
    return Draft(Stream.EVENT, device, at_ns, at_ns, body)
