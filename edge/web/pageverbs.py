"""Which verbs of the daemon a page may use, and which words it may give along.

What is not in these tables never reaches the control socket. A reading verb is asked by GET, for
whoever may look, and what is private in it for whoever is logged in; a changing one by POST, for
whoever is logged in, unless settings are locked. The
daemon checks what it is given; here only size and names are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

TIMEOUT_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class PageVerb:
    """`words`: the arguments that go along, all others are refused. Who gives one of `private`
    has to be logged in, also where everybody may look."""

    words: tuple[str, ...] = ()
    timeout_s: float = TIMEOUT_S
    private: tuple[str, ...] = ()


READING: Final[Mapping[str, PageVerb]] = {
    "status": PageVerb(),
    "outbox": PageVerb(),
    "live": PageVerb(),
    "history": PageVerb(("source",)),
    "flags": PageVerb(),
    "frames": PageVerb(("bus",), private=("bus",)),  # a meter's password goes over its wire
    "commission": PageVerb(("form", "number"), private=("form", "number")),  # sheets name people
    "config": PageVerb(),
}
CHANGING: Final[Mapping[str, PageVerb]] = {
    "commission_step": PageVerb(
        (
            "act", "by", "anew", "step", "lane", "speed_kmh", "length_m", "mine", "key", "value",
            "id", "name", "note", "reservations",
        ),
        timeout_s=25.0,  # a slow bus is read several times
    ),
    "config_step": PageVerb(("op", "text", "digest"), 60.0),
}  # fmt: skip
