"""Who talks by itself on a serial port: every driver's own way of finding a frame, on what comes.

Source: the drivers'. A PMS5003, a PMS7003 and a PMS5003T look the same on the wire. A ZH03B and a
PMS3003 do too, but for the three words for indoor air, which a ZH03B leaves empty.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from drivers.chips import _sml, _telegram, dsmr, pms3003, pms5003, sds011, zh03b
from drivers.scan.found import FoundDevice, ScanPort
from edge.core import Bad, BusError, DataError, Framer

LINES: Final = ("9600 8N1", "115200 8N1", "2400 8N1")
OVER_S: Final = 0.2  # that listening may take longer
TALKERS: Final[tuple[tuple[str, Framer], ...]] = (
    ("pms5003", pms5003.LAYOUT.cut),
    ("zh03b", zh03b.LAYOUT.cut),
    ("pms3003", pms3003.LAYOUT.cut),
    ("sds011", sds011.framer_for(sds011.VALUES)),
    ("sml", _sml.next_frame),
    ("dsmr", _telegram.next_telegram),
    ("iec62056_push", _telegram.next_telegram),
)
NAMES: Final = {
    "pms5003": "a Plantower sensor with frames of 32 bytes",
    "pms3003": "a Plantower PMS3003",
    "zh03b": "a Winsen ZH03B",
    "sds011": "a Nova SDS011",
    "sml": "a smart meter that sends SML",
    "dsmr": "a smart meter with a P1 port",
    "iec62056_push": "a meter of IEC 62056-21 mode D",
}
ALSO: Final = {"pms5003": ("pms7003", "pms5003t")}
OPTIONS: Final[dict[str, dict[str, Any]]] = {"sds011": {"mode": "active"}}  # leaves it as it is
P1_ONLY: Final = (b"1-3:0.2.8", b"0-0:96.1.1(", b"0-0:96.14.0")  # lines of a P1 telegram
INDOOR: Final = slice(4, 10)  # of a frame of 24 bytes


@dataclass(slots=True)
class FrameListener:
    """Listens with all drivers at once. As a `Framer` it gives the first frame with values.

    `found` is the driver and that frame; a frame without values, as a sensor sends while it starts,
    is kept there too, for as long as nothing better comes.
    """

    found: tuple[str, bytes] | None = None
    heard: bytes = b""

    def cut(self, data: bytes) -> tuple[bytes | None, int]:
        self.heard = data
        candidates = [(good, driver, frame) for driver, cut in TALKERS
                for good, frame in _frames(driver, cut, data)]  # fmt: skip
        if not candidates:
            return None, 0
        good, driver, frame = max(candidates, key=lambda one: one[0])
        self.found = (driver, frame)
        return (frame, len(data)) if good else (None, 0)


def _frames(driver: str, cut: Framer, data: bytes) -> Iterator[tuple[int, bytes]]:
    """The frames of this driver, each with the number of its values; ends at one that has some."""
    at = 0
    while at < len(data):
        frame, done = cut(data[at:])
        if frame is not None and (good := _good(driver, frame)) >= 0:
            yield good, frame
            if good:
                return
        if done <= 0:
            return
        at += done


def _good(driver: str, frame: bytes) -> int:
    """How many values it has for this driver; -1 when it is none of its frames."""
    try:
        found = import_module(f"drivers.chips.{driver}").explain([frame])
    except DataError:
        return -1
    if driver in ("zh03b", "pms3003") and any(frame[INDOOR]) is (driver == "zh03b"):
        return -1
    if driver in ("dsmr", "iec62056_push"):
        plain = bytes(byte & 0x7F for byte in frame)
        crc = plain.rpartition(b"!")[2].strip()
        p1 = bool(crc) or any(line in plain for line in P1_ONLY)
        if p1 is (driver == "iec62056_push"):
            return -1
    return sum(not isinstance(sample, Bad) for sample in found.values())


async def listen_for_talkers(
    bus: ScanPort, line: str, listen_s: float
) -> tuple[FoundDevice | None, bytes]:
    """Who talks at these settings; else what came. Raises BusError when the port is of no use."""
    ear = FrameListener()
    try:
        await bus.frame(ear.cut, listen_s)
    except DataError:
        pass  # bytes came; maybe even a frame, without values
    except BusError as error:
        if error.__cause__ is not None:
            raise  # the port has gone
    if ear.found is None:
        return None, ear.heard
    driver, frame = ear.found
    serial = frame[6:8].hex() if driver == "sds011" else ""
    also = ALSO.get(driver, ())
    same = f"; {', '.join(also)} look the same on the wire: read its label" if also else ""
    what = f"{NAMES[driver]} that sends without being asked at {line}{same}"
    options: dict[str, Any] = dict(OPTIONS.get(driver, {}))
    if driver == "dsmr" and (several := dsmr.draft_options(frame)):
        options |= several
        text = " and ".join(f"{len(names)} {key} meters" for key, names in several.items())
        what += f", with {text} behind it: change their order if the first is not the main one"
    return FoundDevice(driver, what, options, serial, also, line), b""
