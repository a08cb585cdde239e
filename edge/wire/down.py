"""What comes down to a gateway: receipts, commands, the spread of reconnections. Both sides of it.

Decisions 12 and 14. Everything is JSON, strict and small; what is not raises WireError.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import to_builtins

from edge.wire.contract import down as declared
from edge.wire.contract.down import ID_LIMIT, LONGEST_SPREAD_S
from edge.wire.records import JSON, Payload, encode_json
from edge.wire.strict import WireError, load_json
from edge.wire.topics import STREAMS

MAX_DOWN: Final = 64 << 10  # bytes of one message to a gateway
MAX_RANGES: Final = 2000  # of one message
MAX_SEQ: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class Receipt:
    """Numbers of one epoch and stream that are stored. `ranges` are inclusive."""

    epoch: int
    stream: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Command:
    """`verb` is of the topic; `arguments` is all that is not the header."""

    verb: str
    epoch: int
    id: str
    arguments: Mapping[str, Any]


def encode_receipts(gw: str, receipts: Sequence[Receipt]) -> list[Payload]:
    """As few messages as hold them all: each has at most MAX_RANGES ranges and MAX_DOWN bytes."""
    messages: list[list[declared.Ranges]] = []
    room = 0
    for receipt in receipts:
        ranges = list(receipt.ranges)
        while ranges:
            if room < 1:
                messages.append([])
                room = MAX_RANGES // 2  # two numbers of 16 digits each: far below MAX_DOWN
            part, ranges = ranges[:room], ranges[room:]
            room -= len(part) + 1
            messages[-1].append(
                declared.Ranges(epoch=receipt.epoch, stream=receipt.stream, ranges=part)
            )
    bodies = [declared.Receipt(v=1, gw=gw, receipts=message) for message in messages]
    return [Payload(encode_json(to_builtins(body)), JSON) for body in bodies]


def decode_receipts(payload: bytes, gw: str) -> list[Receipt]:
    """What a message on `down/receipt` says. Raises WireError."""
    data = _load(payload, gw)
    return parse_ranges(data.get("receipts"), "receipts")


def parse_ranges(found: Any, where: str) -> list[Receipt]:
    """A list of `{"epoch", "stream", "ranges"}`, of a receipt or a command. Raises WireError."""
    if not isinstance(found, list):
        raise WireError(f"{where} is not a list")
    receipts: list[Receipt] = []
    left = MAX_RANGES
    for each in found:
        match each:
            case {"epoch": int(epoch), "stream": str(stream), "ranges": list(ranges)} if (
                0 <= epoch < MAX_SEQ and stream in STREAMS
            ):
                left -= len(ranges) + 1
                if left < 0:
                    raise WireError(f"more than {MAX_RANGES} ranges")
                receipts.append(Receipt(epoch, stream, tuple(_range(pair) for pair in ranges)))
            case _:
                raise WireError(f"{where}: {each!r:.80} has no epoch, stream and ranges")
    return receipts


def encode_command(gw: str, epoch: int, id_: str, arguments: Mapping[str, Any]) -> Payload:
    """For `down/cmd/{verb}`."""
    return Payload(encode_json({"v": 1, "gw": gw, "epoch": epoch, "id": id_, **arguments}), JSON)


def decode_command(verb: str, payload: bytes, gw: str) -> Command:
    """What a message on `down/cmd/{verb}` says. Raises WireError."""
    data = _load(payload, gw)
    match data:
        case {"epoch": int(epoch), "id": str(id_)} if (
            0 <= epoch < MAX_SEQ and 0 < len(id_) <= ID_LIMIT and id_.isprintable()
        ):
            rest = {k: v for k, v in data.items() if k not in ("v", "gw", "epoch", "id")}
            return Command(verb, epoch, id_, rest)
    raise WireError("a command needs epoch and id")


def decode_reconnect_spread(payload: bytes) -> float:
    """Seconds of `down/reconnect_spread`; an empty payload (the retained one was deleted) is 0."""
    if not payload:
        return 0.0
    data = load_json(payload[:MAX_DOWN])
    match data:
        case {"v": 1, "spread_s": int() | float() as seconds} if (
            not isinstance(seconds, bool) and 0 <= seconds <= LONGEST_SPREAD_S
        ):
            return float(seconds)
    raise WireError(f"spread_s is not a number from 0 to {LONGEST_SPREAD_S}")


def _load(payload: bytes, gw: str) -> dict[str, object]:
    if len(payload) > MAX_DOWN:
        raise WireError(f"{len(payload)} bytes; {MAX_DOWN} are allowed")
    data = load_json(payload)
    if not isinstance(data, dict):
        raise WireError("the payload is not a map")
    if data.get("gw") != gw:
        raise WireError(f"gw is {data.get('gw')!r:.40}, this is {gw}")
    version = data.get("v")
    if isinstance(version, bool) or version != 1:
        raise WireError(f"v is {version!r:.20}; this program reads 1")
    return data


def _range(pair: Any) -> tuple[int, int]:
    match pair:
        case [int(first), int(last)] if 1 <= first <= last < MAX_SEQ:
            return first, last
    raise WireError(f"{pair!r:.60} is not a pair of numbers")
