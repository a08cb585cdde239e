"""DL/T 645-2007: the package dlt645 reads frames that were published, and writes what we read."""

import importlib
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from drivers.chips import dlt645
from drivers.chips._dlt645_items import ITEMS, Dlt645Item
from edge.core import DataError, Sample
from tests.frames.outcome import Case

HERE: Final = Path(__file__).parent
TRACES: Final = HERE.parent / "drivers" / "traces" / "dlt645.toml"
ANSWERED, ALL = 0x91, 0xFF  # a read answer; the place of a block in an identifier
NAMED: Final = {  # data identifier -> point, how many of our unit
    0x0001_0000: ("energy_import", 1),
    0x0002_0000: ("energy_export", 1),
    **{0x0001_0000 | n << 8: (f"energy_import_t{n}", 1) for n in (1, 2, 3, 4)},
    **{0x0002_0000 | n << 8: (f"energy_export_t{n}", 1) for n in (1, 2, 3, 4)},
    0x0000_0000: ("energy_combined", 1),
    **{0x0201_0000 | n << 8: (f"voltage_l{n}", 1) for n in (1, 2, 3)},
    **{0x0202_0000 | n << 8: (f"current_l{n}", 1) for n in (1, 2, 3)},
    **{
        kind << 16 | n << 8: (f"{key}_l{n}" if n else key, factor)
        for kind, key, factor in (
            (0x0203, "power", 1000), (0x0204, "reactive_power", 1000),
            (0x0205, "apparent_power", 1000), (0x0206, "power_factor", 1),
        )
        for n in (0, 1, 2, 3)
    },
    0x0280_0002: ("frequency", 1),
}  # fmt: skip
VALUES: Final = (0.0, 0.25, 0.5, 0.731, 0.999)  # parts of what an item may hold


def published() -> Iterator[Case]:
    """Frames of meters as others published them."""
    for row in tomllib.loads((HERE / "dlt645.toml").read_text("utf-8"))["frame"]:
        frame = bytes.fromhex(row["hex"])
        yield Case(row["name"], ours(frame), package(frame), raw=frame, again=ours)


def traces() -> Iterator[Case]:
    """The answers in this repository's recorded conversations: calculated, not recorded."""
    for case in tomllib.loads(TRACES.read_text("utf-8"))["case"]:
        for number, turn in enumerate(case.get("dialogue", ()), 1):
            reply = bytes.fromhex(turn.get("reply", ""))
            if reply[9:10] and reply.lstrip(b"\xfe")[8:9] == bytes((ANSWERED,)):
                yield Case(f"{case['name']} {number}", ours(reply), package(reply))


def written() -> Iterator[Case]:
    """Every item, with values that the package encodes and puts into frames of its own."""
    for item in ITEMS:
        for di in item.singles:
            key, factor = NAMED[di]
            point = next(point for point in item.points if point.key == key)
            for part in VALUES:
                raw = (point.low + part * (point.high - point.low)) / factor
                frame, value = _encoded(item, di, raw)
                yield Case(f"{di:08X} {value:g}", ours(frame), {key: value * factor})


def ours(frame: bytes) -> Mapping[str, Sample] | str:
    """What the driver makes of it, or why it refuses."""
    try:
        return dlt645.explain([frame])
    except DataError as damage:
        return str(damage)


class ReadyAnswer:
    """Stands in for the package's connection: the answer is already there."""

    reply = b""

    def _ensure_connection(self) -> bool:
        return True

    def send_request(self, frame: bytes) -> bytes:
        return self.reply


@cache
def _client() -> tuple[Any, ReadyAnswer]:
    """The package's own client; making one takes it a second."""
    answers = ReadyAnswer()
    service = importlib.import_module("dlt645.service.clientsvc.client_service")
    return service.MeterClientService(answers), answers


def package(frame: bytes) -> dict[str, float | None] | str:
    """What the package makes of an answer. A block it does not know: it gets the values singly."""
    try:
        decoded = _protocol().deserialize(frame)
    except ValueError as error:
        return str(error)
    di, data = int.from_bytes(decoded.data[:4], "little"), decoded.data[4:]
    if di >> 8 & 0xFF != ALL:
        return _read(decoded.addr, di, data)
    found: dict[str, float | None] = {}
    size = {0x00: 4, 0x02: 2 if di >> 16 in (0x0201, 0x0206) else 3}.get(di >> 24, len(data))
    first = 1 if di >> 16 in (0x0201, 0x0202) else 0
    for place in range(len(data) // size):
        single = di & ~0xFF00 | (first + place) << 8
        found |= _read(decoded.addr, single, data[place * size :][:size])
    return found


def _protocol() -> Any:
    return importlib.import_module("dlt645.protocol.protocol").DLT645Protocol


def _read(address: bytes, di: int, word: bytes) -> dict[str, float | None]:
    if di not in NAMED:
        return {}
    key, factor = NAMED[di]
    if word.count(0xFF) == len(word):
        return {key: None}
    client, answers = _client()
    client.address = bytearray(address)
    data = di.to_bytes(4, "little") + word
    answers.reply = bytes(_protocol().build_frame(bytes(address), ANSWERED, data))
    item = (client.read_02 if di >> 24 == 2 else client.read_00)(di)
    return {key: None if item is None else float(item.value) * factor}


def _encoded(item: Dlt645Item, di: int, value: float) -> tuple[bytes, float]:
    """A frame with this value after the package's own format, and the value as it has it."""
    handler = importlib.import_module("dlt645.model.data.data_handler")
    transform = importlib.import_module("dlt645.common.transform")
    form = handler.get_data_item(di).data_format
    value = round(value, transform.parse_format(form)[0])
    word = bytes(transform.float_to_bcd(value, form, "little"))[: item.size]
    return bytes(
        _protocol().build_frame(bytes(6), ANSWERED, di.to_bytes(4, "little") + word)
    ), value
