"""SML: smllib reads the same bytes, frame by frame, and counts the frames of each recording."""

import importlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, Final

from drivers.chips import _sml as wire
from drivers.chips import sml
from edge.core import DataError, Sample
from tests.frames.codes import Decoded, named
from tests.frames.literals import literals
from tests.frames.outcome import Case

UNITS: Final = {27: "W", 30: "Wh", 33: "A", 35: "V", 44: "Hz", 8: "deg"}  # of DLMS; None: none
CHECKS: Final = ("x25", "kermit")
USUAL: Final = {(1, 7, 0), (2, 7, 0), (16, 7, 0)}
ABSOLUTE, OF_A_TARIFF, GIVES = (15, 7, 0), (1, 7, 1), 0x20  # DIN EN 62056-61; a bit of a status


def recordings(files: Mapping[str, bytes]) -> Iterator[Case]:
    """Every frame of every recording."""
    for path, data in files.items():
        name = PurePosixPath(path)
        if name.suffix != ".bin" or "sml" not in name.parts:
            continue
        for number, frame in enumerate(frames(data), 1):
            case = f"{name.stem} {number}"
            yield Case(case, ours(frame), smllib(frame), raw=frame, again=ours)


def stream(files: Mapping[str, bytes]) -> Iterator[Case]:
    """How many sound frames each recording holds."""
    for path, data in files.items():
        name = PurePosixPath(path)
        if name.suffix == ".bin" and "sml" in name.parts:
            sound = sum(not isinstance(ours(frame), str) for frame in frames(data))
            yield Case(name.stem, {"frames": float(sound)}, {"frames": float(counted(data))})


def tests(files: Mapping[str, bytes]) -> Iterator[Case]:
    """The frames in smllib's own tests."""
    found: dict[bytes, str] = {}
    for path, data in files.items():
        if path.startswith("tests/"):
            for name, text in literals(data):
                frame = _unhexed(text)
                if frame.startswith(wire.START):
                    found.setdefault(frame, f"{PurePosixPath(path).stem} {name}")
    for frame, name in found.items():
        yield Case(name, ours(frame), smllib(frame), raw=frame, again=ours)


def _unhexed(text: str | bytes) -> bytes:
    try:
        return bytes.fromhex(text.decode("ascii") if isinstance(text, bytes) else text)
    except ValueError:
        return text if isinstance(text, bytes) else b""


def frames(data: bytes) -> list[bytes]:
    """What the driver's port finds in a recording, sound or not."""
    found = []
    while data:
        frame, done = wire.next_frame(data)
        found += [frame] if frame is not None else []
        if not done:
            break
        data = data[done:]
    return found


def ours(frame: bytes) -> Mapping[str, Sample] | str:
    """What the driver makes of it, or why it refuses."""
    try:
        return sml.explain([frame])
    except DataError as damage:
        return str(damage)


def counted(data: bytes) -> int:
    """How many frames smllib finds in a recording."""
    reader, errors = _reader("x25"), importlib.import_module("smllib.errors")
    reader.add(data)
    found = 0
    for _ in range(len(data)):
        try:
            if reader.get_frame() is None:
                break
            found += 1
        except errors.SmlLibException:
            continue
    return found


def _reader(check: str) -> Any:
    return importlib.import_module("smllib").SmlStreamReader(crc=check)


def smllib(frame: bytes) -> dict[str, float | None] | str:
    """What smllib makes of it under our points, or what it raises."""
    errors = importlib.import_module("smllib.errors")
    for check in CHECKS:
        reader = _reader(check)
        reader.add(frame)
        try:
            got = reader.get_frame()
            decoded = None if got is None else got.parse_frame()
        except errors.CrcError:
            continue
        except Exception as raised:  # noqa: BLE001  whatever it raises, it refuses
            return f"{type(raised).__name__}: {raised}"
        if decoded is not None:
            return named(_values(list(_entries(decoded))))
    return "no frame with a right checksum"


def _entries(messages: Any) -> Iterator[Any]:
    for message in messages:
        yield from getattr(message.message_body, "val_list", None) or ()


def _values(entries: list[Any]) -> list[Decoded]:
    """Their values. Power under another code than the usual ones is taken for power.

    Which way it flows smllib does not say of what has no sign: it gives the word where it stands.
    """
    decoded = [_decoded(entry) for entry in entries]
    codes = {code: (value, unit) for code, value, unit in reversed(decoded)}
    if not codes.keys() & USUAL and (power := codes.get(ABSOLUTE) or codes.get(OF_A_TARIFF)):
        value, unit = power
        gives = any((entry.status or 0) & GIVES for entry in entries if ABSOLUTE in codes)
        decoded.append(((16, 7, 0), value if value is None or not gives else -value, unit))
    return decoded


def _decoded(entry: Any) -> Decoded:
    a, b, c, d, e, f = bytes.fromhex(str(entry.obis))
    ours_too = a == 1 and b <= 1 and f == 255 and isinstance(entry.value, int)
    code = (c, d, 0 if e == 255 else e) if ours_too else (0, 0, 0)
    value = Decimal(entry.value).scaleb(entry.scaler or 0) if ours_too else None
    return code, value, "" if entry.unit is None else UNITS.get(entry.unit, str(entry.unit))
