"""What to do about a reading that did not come, and what of a device needs nobody."""

import re
from typing import Final

from edge.core.condition import Condition
from edge.core.quality import Reason

INSTRUCTION: Final = re.compile(
    r": (?=(?:add|check|connect|disconnect|end|exchange|fit|give|join|look|lower|plug|raise|read"
    r"|remove|replace|restart|see|set|start|stop|swap|switch|take|try|use)\b)"
)
MIN_SENTENCE_WORDS: Final = 4  # of a sentence; what is shorter is no sentence but a prefix

MILD_CONDITIONS: Final = frozenset({Condition.WARMUP, Condition.CLEANING, Condition.SLEEPING})
TEMPORARY_REASONS: Final = frozenset(
    {Reason.WARMUP, Reason.STALE, Reason.BUSY}
)  # it only needs time
REMEDIES: Final[dict[Reason, str]] = {
    Reason.ADDRESS: "this device does not have them: check that it is the model that the driver is"
    " for, or leave them out (points = [...])",
    Reason.RANGE: "its values are impossible: check the kind of device, and that its sensor is"
    " connected",
    Reason.CRC: "damaged on the wire: check shield, terminator, and cables beside power lines",
    Reason.FAULT: "the device itself reports that this part is broken: replace it",
    Reason.SILENT: "it stopped answering during the reading: check its supply and its plug",
    Reason.CONTRADICTED: "the device sends several values for this point: see what it"
    " reports about itself",
}


def split_remedy(text: str, reason: Reason | None = None) -> tuple[str, str]:
    """What a driver says as cause and remedy, of which it is made in this order. `reason` helps
    where a text has no remedy of its own; "": nobody knows one."""
    cause, mark, remedy = text.partition("; ")
    if not mark and (found := INSTRUCTION.search(text)) is not None:
        cause, remedy = text[: found.start()], text[found.end() :]
        if len(cause.split()) < MIN_SENTENCE_WORDS:
            cause, remedy = text, ""
    if not remedy and reason is not None:
        remedy = REMEDIES.get(reason, "")
        if reason == Reason.SILENT:  # whatever it was before: look at the same things
            remedy = "check its supply, its plug and its wires"
        if reason == Reason.CRC:  # the cause says already that it was damaged
            remedy = REMEDIES[Reason.CRC].partition(": ")[2]
    return cause, remedy
