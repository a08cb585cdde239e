"""Every message, with its topic: what the broker sees, from the gateway's point of view.

This table is what the AsyncAPI document, the schemas and the readable pages are made from. The
stream `register` is reserved: nothing is sent on it yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Final, Literal

from edge.core.record import Stream
from edge.wire.contract import down
from edge.wire.contract.bay import Bay
from edge.wire.contract.boxevent import BOX_EVENTS
from edge.wire.contract.event import SITE_EVENTS
from edge.wire.contract.header import Header
from edge.wire.contract.health import Health
from edge.wire.contract.manifest import Manifest
from edge.wire.contract.meta import Description
from edge.wire.contract.points import Air, Energy, LoopCard
from edge.wire.contract.raw import Raw
from edge.wire.contract.recordtypes import event_type, record_type
from edge.wire.contract.status import Offline, Online
from edge.wire.contract.traffic import Lane
from edge.wire.records import JSON, MSGPACK, RAW

EVENTS: Final[Mapping[str, type[Any]]] = {
    str(each.__struct_config__.tag): event_type(each) for each in (*SITE_EVENTS, *BOX_EVENTS)
}
"""The closed list of kinds."""
BOTH: Final = (MSGPACK, JSON)


@dataclass(frozen=True, slots=True)
class DeclaredMessage:
    """One kind of message. `types` are its forms; `address` follows PREFIX/SITE/GATEWAY/."""

    name: str
    title: str
    address: str
    types: tuple[type[Any], ...]
    content_types: tuple[str, ...] = (JSON,)
    direction: Literal["up", "down"] = "up"
    retained: bool = False

    @property
    def topic(self) -> str:
        """The whole topic, with a hole for each name."""
        return f"{{prefix}}/{{site}}/{{gateway}}/{self.address}"

    @property
    def fields(self) -> frozenset[str]:
        """Of all its forms, as they stand on the wire."""
        return frozenset(name for each in self.types for name in each.__struct_encode_fields__)

    @property
    def type(self) -> Any:
        """All its forms as one type."""
        return reduce(or_, self.types)


MESSAGES: Final = (
    DeclaredMessage("lane", "A lane, one period", "up/traffic/{source}",
    (record_type("traffic", Lane),), BOTH),
    DeclaredMessage("loop_card", "A loop card, one period", "up/traffic/{source}",
    (record_type("traffic", LoopCard),), BOTH),
    DeclaredMessage("bay", "A bay, one period", "up/bay/{source}",
    (record_type("bay", Bay),), BOTH),
    DeclaredMessage("air", "Air and weather, one period", "up/air/{source}",
    (record_type("air", Air),), BOTH),
    DeclaredMessage("energy", "A meter, one period", "up/energy/{source}",
    (record_type("energy", Energy),), BOTH),
    DeclaredMessage("event", "An event", "up/event/{source}", tuple(EVENTS.values())),
    DeclaredMessage("health", "Health of the gateway", "up/health/{source}",
    (record_type("health", Health),), BOTH),
    DeclaredMessage("manifest", "Published records", "up/manifest/{source}",
    (record_type("manifest", Manifest),), BOTH),
    DeclaredMessage("raw", "Every reading, in batches", "up/raw",
    (record_type("raw", Raw, Header),), (RAW,)),
    DeclaredMessage("status", "Birth, status and will", "up/status", (Online, Offline),
    retained=True),
    DeclaredMessage("meta", "What each number means", "up/meta", (Description,), retained=True),
    DeclaredMessage("answer", "The answer to a command", "up/answer/{verb}", (down.Answer,)),
    DeclaredMessage("receipt", "Stored records", "down/receipt", (down.Receipt,), direction="down"),
    DeclaredMessage("resend", "Send again", "down/cmd/resend", (down.Resend,), direction="down"),
    DeclaredMessage("ask_status", "Ask for the status", "down/cmd/status", (down.AskStatus,),
             direction="down"),
    DeclaredMessage("reconnect_spread", "Spread reconnections", "down/reconnect_spread",
             (down.ReconnectSpread,), direction="down", retained=True),
)  # fmt: skip
LAST: Final = tuple(
    each.name
    for each in MESSAGES
    if each.address in {f"up/{stream}/{{source}}" for stream in Stream if stream.retained}
)
"""The newest record of a source is retained at `up/last/{source}` as well, as JSON, where
`uplink.last_s` asks for it; while bytes are spared there is none."""
BY_NAME: Final[Mapping[str, DeclaredMessage]] = {each.name: each for each in MESSAGES}


def declared(kind: str, data: Mapping[str, Any]) -> DeclaredMessage:
    """Which message a decoded one of this kind (`wire.Message.kind`) is. Raises LookupError."""
    name = str(data["stream"]) if kind in ("record", "last") else kind
    if name == "traffic":
        name = "loop_card" if "points" in data else "lane"
    return BY_NAME[name]
