"""The words that many payloads share: names, numbers, times, qualities, units.

A unit stands beside its value as `x-unit`, in the symbol that `edge.core` gives to the quantity.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from edge.core import Condition, Quantity, Reason
from edge.core.displayname import DISPLAY_NAME_LIMIT

MAX_NUMBER: Final = 1 << 53  # JavaScript's whole numbers end there; wire.decode refuses more
MAX_INT: Final = (1 << 63) - 1  # what MessagePack and most readers hold

# On the wire a quality is one word: what `str(Quality)` gives. The reasons are a closed list.
QUALITY_PATTERN: Final = f"^(good|(uncertain|bad):({'|'.join(Reason)}))$"
TIME_PATTERN: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"
NAME_PATTERN: Final = "^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}$"
HEX_PATTERN: Final = "^[0-9a-f]{64}$"


class WireStruct(Struct, kw_only=True, forbid_unknown_fields=True):
    """What every declared map is.

    It is strict, so that a test finds a field that nobody has declared. Consumers get schemas that
    allow more fields, because adding one is free (see `schemas.py`).
    """


def meaning(text: str, unit: str | Quantity | None = None, **more: object) -> Meta:
    """What a field means and, of a quantity, in which unit. `more` goes into the schema as is."""
    extra: dict[str, object] = dict(more)
    if unit is not None:
        extra["x-unit"] = unit.unit if isinstance(unit, Quantity) else unit
    return Meta(description=text, extra_json_schema=extra or None)


GROWS: Final = {"x-grows": True}
"""Of a list of words that later versions of the same `v` add to. Who does not know one shows it."""

Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
DisplayName = Annotated[str, Meta(min_length=1, max_length=DISPLAY_NAME_LIMIT)]
"""For people, in any script, in NFC; the key of nothing."""
Time = Annotated[str, Meta(pattern=TIME_PATTERN, extra_json_schema={"format": "date-time"})]
Sha256 = Annotated[str, Meta(pattern=HEX_PATTERN)]
Count = Annotated[int, Meta(ge=0, lt=MAX_NUMBER)]
Positive = Annotated[int, Meta(ge=1, lt=MAX_NUMBER)]
Seq = Annotated[int, Meta(ge=1, lt=MAX_NUMBER)]
Epoch = Annotated[int, Meta(ge=0, lt=MAX_NUMBER)]
Share = Annotated[float, Meta(ge=0, le=1)]
Amount = Annotated[float, Meta(ge=0)]
Yes = Annotated[bool, Meta(extra_json_schema={"const": True})]
"""A flag that is there only when it is true."""
OnOff = Literal["on", "off"]
LoopPart = Literal["lead", "trail"]
LoopFault = Literal[
    "stuck_on", "stuck_off", "chatter", "breakup", "crosstalk", "undercount", "splashover",
    "mismatch", "swapped", "never_active", "inverted", "late_release",
]  # fmt: skip
"""What a model, or its rule, finds wrong with a loop."""
Contradiction = Literal[
    "phase_sum", "apparent_power", "power_factor", "phases_swapped", "direction", "backwards",
    "two_devices", "heat", "size_order",
]  # fmt: skip
"""What points of one device say of each other that cannot be so."""
Fault = Literal[LoopFault, "no_activity", "phase", Contradiction]
"""What is found wrong with a loop, a contact, a signal or a device."""
Algorithm = Literal["ed25519", "ecdsa-sha256", "rsa-pss-sha256"]
"""Of a signature by the device's key."""
BayKind = Literal["loading", "charging", "parking"]

Step = tuple[Seq, Seq, Positive]
"""first, first + step, ..., last."""
Steps = Annotated[list[Step], Meta(min_length=1)]
QualityWord = Annotated[str, Meta(pattern=QUALITY_PATTERN)]
Qualities = dict[QualityWord, Annotated[int, Meta(ge=1)]]
QUALITIES: Final = (
    "How many values had which quality: `good`, or `uncertain` or `bad` with a reason of the closed"
    " list."
)
Conditions = list[Condition]
