"""M-Bus: libmbus by its own published decodings, pyMeterBus by running it.

Both give each record's value, unit, storage, tariff and subunit. Which phase a record is of and
which way it counts stands in bytes that they pass over: for that alone our own reading is used.
"""

import importlib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from drivers.chips import _mbus_link as link
from drivers.chips import mbus
from drivers.chips._mbus_records import MbusRecord, parse_records
from edge.core import DataError, Sample
from tests.frames.literals import literals
from tests.frames.outcome import Case

POINTS: Final = {  # unit as libmbus writes it -> point, how many of our unit
    ("Energy", "Wh"): ("energy", Decimal("0.001")),
    ("Energy", "J"): ("energy", Decimal(1) / 3_600_000),
    ("Power", "W"): ("power", Decimal(1)),
    ("Power", "J/h"): ("power", Decimal(1) / 3600),
    ("Volume", "m^3"): ("volume", Decimal(1)),
    ("Volume flow", "m^3/h"): ("volume_flow", Decimal(1)),
    ("Flow temperature", "°C"): ("temperature_flow", Decimal(1)),
    ("Return temperature", "°C"): ("temperature_return", Decimal(1)),
    ("Temperature difference", "K"): ("temperature_difference", Decimal(1)),
    ("Voltage", "V"): ("voltage", Decimal(1)),
    ("Current", "A"): ("current", Decimal(1)),
    ("", "l"): ("volume", Decimal("0.001")),  # a counter of the fixed form
}
PEER: Final = {  # what pyMeterBus calls them
    "VIFUnit.ENERGY_WH": ("Energy", "Wh"),
    "Energy": ("Energy", "Wh"),  # of the extended table FB
    "VIFUnit.ENERGY_J": ("Energy", "J"),
    "VIFUnit.POWER_W": ("Power", "W"),
    "VIFUnit.POWER_J_H": ("Power", "J/h"),
    "VIFUnit.VOLUME": ("Volume", "m^3"),
    "VIFUnit.VOLUME_FLOW": ("Volume flow", "m^3/h"),
    "VIFUnit.FLOW_TEMPERATURE": ("Flow temperature", "°C"),
    "VIFUnit.RETURN_TEMPERATURE": ("Return temperature", "°C"),
    "VIFUnit.TEMPERATURE_DIFFERENCE": ("Temperature difference", "K"),
    "VIFUnitExt.VOLTS": ("Voltage", "V"),
    "VIFUnitExt.AMPERE": ("Current", "A"),
}
NOW: Final = ("Instantaneous value", "Actual value", "FunctionType.INSTANTANEOUS_VALUE")
REFUSES: Final = "refuses it"


class ForeignRecord(NamedTuple):
    """A record as another implementation tells it."""

    function: str
    storage: int
    tariff: int
    subunit: int
    quantity: str
    unit: str
    value: Decimal | None


def libmbus(files: Mapping[str, bytes]) -> Iterator[Case]:
    """Its frames of meters with their decodings, and those that it refuses."""
    for path, data in files.items():
        name = PurePosixPath(path)
        if name.suffix != ".hex" or "mbus" not in name.parts:
            continue
        frame = unhexed(data)
        xml = files.get(str(name.with_suffix(".norm.xml")))
        theirs = REFUSES if xml is None else points(normalised(xml), frame)
        case = f"{name.parent.name}/{name.stem}"
        yield Case(case, ours(frame), theirs, 5e-7, frame, ours)


def second(files: Mapping[str, bytes]) -> Iterator[Case]:
    """The same frames, as pyMeterBus sees them."""
    for path, data in files.items():
        name = PurePosixPath(path)
        if name.suffix == ".hex" and "mbus" in name.parts:
            frame = unhexed(data)
            yield Case(f"{name.parent.name}/{name.stem}", ours(frame), pymeterbus(frame))


def tests(files: Mapping[str, bytes]) -> Iterator[Case]:
    """The telegrams in pyMeterBus' own tests, as it sees them."""
    for path, data in files.items():
        if not path.startswith("tests/") or not path.endswith(".py"):
            continue
        found: dict[bytes, str] = {}
        for name, text in literals(data):
            frame = text if isinstance(text, bytes) else _plain(text)
            if frame[:1] == b"\x68" and frame[3:4] == b"\x68" and frame[-1:] == b"\x16":
                found.setdefault(frame, name)
        for frame, name in found.items():
            case = f"{PurePosixPath(path).stem} {name}"
            yield Case(case, ours(frame), pymeterbus(frame), raw=frame, again=ours)


def _plain(text: str) -> bytes:
    """Bytes that stand as text: as characters, or in hexadecimal."""
    try:
        return bytes.fromhex(text) if len(text) > 8 else b""
    except ValueError:
        return text.encode("latin-1", "replace")


def unhexed(data: bytes) -> bytes:
    """A frame of libmbus: bytes in hexadecimal, some with one digit, some without spaces."""
    parts = data.decode("ascii").split()
    return b"".join(bytes.fromhex(part if len(part) % 2 == 0 else f"0{part}") for part in parts)


def ours(frame: bytes) -> Mapping[str, Sample] | str:
    """What the driver makes of it, or why it refuses."""
    try:
        return mbus.explain([frame])
    except DataError as damage:
        return str(damage)


def normalised(xml: bytes) -> list[ForeignRecord]:
    """The records of libmbus' normalised decoding, which is UTF-8 whatever its head says."""
    text = xml.decode("utf-8").partition("?>")[2]
    return [
        ForeignRecord(
            row.findtext("Function", ""), int(row.findtext("StorageNumber") or 0),
            int(row.findtext("Tariff") or 0), int(row.findtext("Device") or 0),
            row.findtext("Quantity", ""), row.findtext("Unit", ""),
            _number(row.findtext("Value", "")),
        )
        for row in ElementTree.fromstring(text).iter("DataRecord")
    ]  # fmt: skip


def pymeterbus(frame: bytes) -> dict[str, float | None] | str:
    """What pyMeterBus makes of it, or what it raises: some of it is no error of its own."""
    try:
        decoded = importlib.import_module("meterbus").load(frame).body.bodyPayload.records
        rows = [record.interpreted for record in decoded]
    except Exception as error:  # noqa: BLE001  it raises IndexError and KeyError too
        return f"{type(error).__name__}: {error}"
    found = []
    for row in rows:
        quantity, unit = PEER.get(str(row["type"]), ("", ""))
        found.append(
            ForeignRecord(
                str(row["function"]), int(row["storage_number"]), int(row.get("tariff", 0)),
                int(row.get("device", 0)), quantity, unit, _number(str(row["value"])),
            )
        )  # fmt: skip
    return points(found, frame)


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except ArithmeticError:
        return None
    return value if value.is_finite() else None


def points(decoded: Iterable[ForeignRecord], frame: bytes) -> dict[str, float | None]:
    """Their records under our points: values of now, of the meter itself, the first of each."""
    electric, mine = _read(frame)
    found: dict[str, float | None] = {}
    for place, row in enumerate(decoded):
        point = POINTS.get((row.quantity, row.unit))
        if row.function not in NOW or row.storage or row.subunit or point is None:
            continue
        key, factor = point
        vif = [code & 0x7F for code in mine[place].vif] if place < len(mine) else []
        if electric and key == "energy":
            key += "_export" if 0x3C in vif[1:] else "_import"
        if phase := _phase(vif):
            key += f"_l{phase}"
        key += f"_t{row.tariff}" if row.tariff else ""
        if key in mbus.POINTS:
            found.setdefault(key, None if row.value is None else float(row.value * factor))
    return found


def _read(frame: bytes) -> tuple[bool, list[MbusRecord]]:
    """Whether it is of electricity, and its records as we see them; none of a damaged one."""
    try:
        ci, data = link.parse_long(frame)[2:]
        if ci != mbus.VARIABLE or len(data) < mbus.HEADER:
            return False, []
        return data[7] == mbus.ELECTRICITY, parse_records(data[mbus.HEADER :])[0]
    except DataError:
        return False, []


def _phase(vif: list[int]) -> int:
    """1 to 3 behind the codes FC or FF that makers put before the number of a phase."""
    for code, after in pairwise(vif[1:]):
        if code in (0x7C, 0x7F):
            return after if 0 <= after <= 3 else 0
    return 0
