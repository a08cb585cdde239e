"""Electricity meters that speak DLMS/COSEM over HDLC, on RS-485 or an optical head.

Source: IEC 62056-46, -53, -61, -62 (DLMS UA Green Book and Blue Book); PyPI dlms-cosem 25.1.0. From
general knowledge only: which of the two serial numbers a maker fills in, and that the error
register 0-0:97.97.0 is zero on a meter without a fault.

Needs the Python package dlms-cosem. Its licence is the Business Source License 1.1, so neither our
package nor the image contains it: read its terms, then install it by hand (deploy/README.md).

The driver uses logical names, and a client with or without a password (low-level security). It
refuses a meter that encrypts, and says so. It does not support the sign-on of optical mode E: set a
meter on an optical head to begin with HDLC. 9600 8N1 is usual, some meters have 2400 or 19200.

Each reading is a connection of its own, from SNRM to DISC, and first asks for the meter's identity.
If the meter is the same, its known exponents and units are used; they are read only once. A
register that the meter does not have is asked for once, and again when the device is opened anew. A
value that a slow meter has not sent in time is bad:busy, and is asked for first the next time.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal

from drivers.chips import _cosem as cosem
from drivers.chips import _hdlc as hdlc
from drivers.chips._cosem import DATA, REGISTER, SCALER_UNIT, VALUE, Attribute
from drivers.chips._dlms_readings import CODES, ERRORS, NAMES, POINTS, DlmsReadings
from drivers.chips._dlms_session import DlmsSession
from edge.core import BusError, Condition, ConfigError, DataError, Point, Reason, Sample, SerialBus

TIMEOUTS: Final = 10  # the longest reading; the line has other meters
LONGEST: Final = 4096  # bytes of an answer in a recording


@dataclass(slots=True)
class Dlms:
    """One meter. `address` is its physical address, often the last digits of its number plus 16
    or 1000; 0 where it has none. `logical` is nearly always 1, `client` 16 for whoever may read
    without a password. `width` is for meters that want four bytes of address for small numbers.
    """

    line: ClassVar[str] = "9600 8N1"
    every_s: ClassVar[float] = 15.0  # a reading takes seconds
    points: ClassVar[Sequence[Point]] = POINTS
    bus: SerialBus
    address: Annotated[
        int,
        (0, 16383),
        "physical address of the meter, often the last digits of its number plus 16 or 1000; 0 "
        "if it has none",
    ] = 0
    logical: Annotated[
        int,
        (1, 16383),
        "number of the logical device in the meter, nearly always 1",
    ] = 1
    client: Annotated[
        int,
        (1, 127),
        "number under which the gateway reads the meter; 16 is the public client, which needs "
        "no password",
    ] = 16
    password: Annotated[
        str,
        "password of low-level security, at most 64 ASCII characters; if left out, none is sent",
    ] = field(default="", repr=False)
    width: Annotated[
        Literal["fitting", "four"],
        "bytes of the meter's HDLC address: `fitting`: as few as its numbers need; `four`: "
        "always four, which some meters require",
    ] = "fitting"
    timeout_s: Annotated[float, (0.2, 10.0), "how long to wait for an answer, in seconds"] = 2.0
    identity: str = field(default="", init=False)
    health: Mapping[Condition, str] = field(default_factory=dict, init=False)
    _session: DlmsSession = field(init=False, repr=False)
    _readings: DlmsReadings = field(init=False, repr=False)
    _names: list[Attribute] = field(init=False, repr=False)
    _errors: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        cosem.require_library()
        if not (self.password.isascii() and len(self.password) <= 64):
            raise ConfigError("password cannot be right: at most 64 plain characters belong here")
        server = hdlc.server_address(self.logical, self.address, self.width == "four")
        self._session = DlmsSession(
            self.bus, hdlc.client_address(self.client), server, self.timeout_s
        )
        self._forget()

    async def open(self) -> None:
        """Nothing on the line: each reading begins anew."""
        self._forget()
        self.identity = ""

    async def read(self) -> tuple[Sample, ...]:
        """All points. Raises BusError when nobody is there, DataError when nothing was usable."""
        self._readings.begin()
        longest_s = TIMEOUTS * self.timeout_s
        try:
            async with asyncio.timeout(longest_s):
                await self._session.connect(self.password)
                await self._recognise()
                await self._values()
                if not self._readings.broken:
                    await self._look_after()
        except TimeoutError as late:
            if not self._readings.values:
                raise BusError(f"no value within {longest_s:g} s") from late
            self._readings.postpone()
        finally:
            await self._session.disconnect()
        found = self._readings.samples()
        return tuple(found[point.key] for point in self.points)

    async def close(self) -> None:
        """Nothing to release: the line belongs to all, and no conversation is left open."""

    def _forget(self) -> None:
        """What is known of a meter, and might be of another one."""
        self._readings = DlmsReadings()
        self._names = [Attribute(DATA, obis) for obis in NAMES]
        self._errors = True

    async def _recognise(self) -> None:
        """Its serial number. Another meter has other exponents."""
        for name in tuple(self._names):
            try:
                device_name = cosem.text(await self._session.get(name))
            except DataError as damage:
                if damage.reason is Reason.CRC:
                    raise
                if damage.reason is Reason.ADDRESS:
                    self._names.remove(name)
                continue
            if device_name and device_name != self.identity:
                if self.identity:
                    self._forget()
                self.identity = device_name
            if device_name:
                return

    async def _values(self) -> None:
        """Ask for every code; a silence ends it, with what there is. Raises what came first."""
        readings = self._readings
        error: BusError | DataError | None = None
        while (obis := readings.next()) is not None:
            try:
                readings.value(obis, await self._session.get(Attribute(REGISTER, obis, VALUE)))
                if obis not in readings.scales:
                    scale = await self._session.get(Attribute(REGISTER, obis, SCALER_UNIT))
                    readings.scale(obis, scale)
            except BusError as silence:
                error = error or silence
                readings.stop(silence.reason)
            except DataError as damage:
                error = error or damage
                readings.refuse(obis, damage.reason)
                if damage.reason is Reason.CRC:  # twice: the two sides have lost each other
                    readings.stop(damage.reason)
        if not readings.values:
            raise error or DataError("the meter sends no values", Reason.ADDRESS)

    async def _look_after(self) -> None:
        """Its error register; a meter without one is not asked again."""
        if not self._errors:
            return
        try:
            register = cosem.text(await self._session.get(Attribute(DATA, ERRORS)))
        except BusError:
            return
        except DataError as damage:
            self._errors = damage.reason is not Reason.ADDRESS
            return
        wrong = register.strip("0") != ""
        sentence = f"its error register holds {register}: look it up in the meter's manual"
        self.health = {Condition.DEVICE: sentence} if wrong else {}


def explain(frames: Sequence[bytes]) -> dict[str, Sample]:
    """What a recorded conversation means, of both sides; a value counts once its exponent is known.

    Raises DataError for a damaged frame, for a refused association, and when nothing is in them.
    """
    readings, parts = DlmsReadings(), {b"": b""}
    asked: Attribute | None = None
    block = b""
    for data in frames:
        frame = hdlc.decode(data)
        if not frame.numbered:
            continue
        whole = parts.pop(frame.source, b"") + frame.information
        if frame.more:
            parts = {frame.source: whole[: LONGEST + 1]}
            continue
        apdu = whole[3:]
        if whole[:3] == cosem.ASK:
            asked = cosem.parse_get(apdu) or (asked if apdu[:2] == b"\xc0\x02" else None)
        elif whole[:3] != cosem.RESPONSE:
            raise DataError(f"no words of DLMS: {whole[:64].hex()}")
        elif apdu[:1] == bytes((cosem.AARE,)):
            cosem.check_aare(apdu)
        elif asked is not None and asked.kind == REGISTER and asked.obis in CODES:
            try:
                answer = cosem.parse_response(apdu)
                block = (block + answer.data)[: LONGEST + 1]
                if answer.more:
                    continue
                readings.take(asked, block)
            except DataError as damage:
                readings.refuse(asked.obis, damage.reason)
            block = b""
    if not frames:
        raise DataError("no frame of a meter", Reason.SILENT)
    return readings.samples(asked_only=True)


DRIVER: Final = Dlms
