"""What to do about a reading that did not come, and what of a device needs nobody."""

from typing import Final

from edge.core.condition import Condition
from edge.core.quality import Reason

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
