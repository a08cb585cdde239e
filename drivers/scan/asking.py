"""Who answers on a serial port that is quiet: the questions that devices answer to anybody.

Each asks for a serial number, an address or a value that is there: no setting is written, no
measurement started, no password used. Source: the drivers'; for M-Bus, EN 13757-2 (254 is
everybody's address; SND_NKE resets the counter of telegrams of a meter, not the meter).
A ZH03B that waits to be asked answers the same question as an MH-Z19: less than 300 ppm of CO2 is
nowhere to be found, so that is taken for dust.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from drivers.chips import (
    _canoga,
    _dlt645,
    _hdlc,
    _iec62056,
    _mbus_link,
    _shdlc,
    _winsen,
    mbus,
    sds011,
)
from drivers.chips._sensirion import text_serial
from drivers.chips._telegram import add_parity
from drivers.scan.found import FoundDevice, ScanPort, ScanTick
from edge.core import BusError, DataError, Framer, Reason

LEAST_PPM: Final = 300
EVERYBODY: Final = 254
PUBLIC: Final = 16  # the client of DLMS that may read without a password
NOBODY: Final = 252  # on M-Bus: reserved
PRIMARY: Final = range(251)
SLOW: Final = 300  # baud, at which all addresses take six minutes: a noise is not worth them
IDLE_BITS: Final = 4 * 11  # between two questions
MBUS_BITS: Final = 5 * 11 + 330 + 11  # a question, the longest pause before an answer, and that
MBUS_S: Final = 0.1  # beyond it
DLT645_BITS: Final = 16 * 11 + 22 * 11
DLT645_S: Final = 0.55  # it may think for 0.5 s
TELEGRAM_BITS: Final = 261 * 11
SHDLC_INFO, SHDLC_SERIAL = 0xD0, b"\x03"


@dataclass(slots=True)
class Asker:
    """One port at certain settings. `patience` stretches or shortens every wait."""

    bus: ScanPort
    line: str
    patience: float
    tick: ScanTick
    heard: int = 0  # answers in which nothing was understood

    async def frame(self, cut: Framer, answer_s: float, write: bytes) -> bytes | None:
        """The answer, or None. Raises BusError when the port is of no use."""
        try:
            return await self.bus.frame(cut, answer_s * self.patience, write)
        except DataError:
            self.heard += 1
            return None
        except BusError as error:
            if error.__cause__ is not None:
                raise  # not silence: the port has gone
            self.heard += error.reason is Reason.BUSY  # somebody talks all the time
            return None

    @property
    def baud(self) -> int:
        return int(self.line.split()[0])

    def on_the_wire_s(self, bits: int) -> float:
        """How long so many bits take."""
        return bits / self.baud


Question = Callable[[Asker], Awaitable[list[FoundDevice]]]


async def _winsen_sensor(asker: Asker) -> list[FoundDevice]:
    cut, question = _winsen.answer_framer(_winsen.READ), _winsen.encode_command(_winsen.READ)
    frame = await asker.frame(cut, 0.5, question)
    if frame is None or not _winsen.is_whole(frame):
        return []
    first = int.from_bytes(_winsen.parse_answer(frame, _winsen.READ)[:2])
    if first >= LEAST_PPM or not any(frame[2:-1]):
        return [
            FoundDevice("mhz19", "an MH-Z19 (carbon dioxide)", also=("zh03b",), line=asker.line)
        ]
    what = "a ZH03B that waits to be asked"
    return [FoundDevice("zh03b", what, {"mode": "asked"}, also=("mhz19",), line=asker.line)]


async def _sds011(asker: Asker) -> list[FoundDevice]:
    frame = await asker.frame(
        sds011.framer_for(sds011.VALUES), 1.2, sds011.encode_command(sds011.QUERY)
    )
    if frame is None:
        return []
    serial = frame[6:8].hex()
    what = f"an SDS011 that waits to be asked, number {serial}"
    return [FoundDevice("sds011", what, {}, serial, line=asker.line)]


async def _canoga_card(asker: Asker) -> list[FoundDevice]:
    cut = _canoga.text_framer(_canoga.SERIAL, _canoga.ANYBODY)
    frame = await asker.frame(cut, 0.3, _canoga.card_request(_canoga.ANYBODY, _canoga.SERIAL))
    if frame is None:
        return []
    serial, address = _canoga.text(frame, _canoga.SERIAL), frame[3]
    what = f"a Canoga loop card, serial number {serial}, address {address}"
    return [FoundDevice("canoga", what, {"address": address}, serial, line=asker.line)]


async def _sps30(asker: Asker) -> list[FoundDevice]:
    question = _shdlc.encode_request(SHDLC_INFO, SHDLC_SERIAL)
    frame = await asker.frame(_shdlc.response_framer(SHDLC_INFO), 0.25, question)
    if frame is None:
        return []
    response = _shdlc.parse_response(frame)
    serial = "" if response.error else text_serial(response.data)
    what = f"an SPS30 on its UART, serial number {serial or 'unknown'}"
    return [FoundDevice("sps30_uart", what, {}, serial, line=asker.line)]


async def _dlt645_meter(asker: Asker) -> list[FoundDevice]:
    question = _dlt645.encode_frame(_dlt645.WILDCARD, _dlt645.READ_ADDRESS)
    wait_s = DLT645_S + asker.on_the_wire_s(DLT645_BITS)
    frame = await asker.frame(_dlt645.answer_framer(question), wait_s, _dlt645.WAKE + question)
    if frame is None:
        return []
    try:
        reply = _dlt645.parse_frame(frame)
    except DataError:
        asker.heard += 1
        return []
    if not (reply.address.isascii() and reply.address.isdecimal()):
        return []
    what = f"a meter that speaks DL/T 645, address {reply.address}"
    return [FoundDevice("dlt645", what, {"address": reply.address}, reply.address, line=asker.line)]


async def _dlms_meter(asker: Asker) -> list[FoundDevice]:
    """One that has no physical address: the link is set up, and let go at once."""
    client, server = _hdlc.client_address(PUBLIC), _hdlc.server_address(1, 0)
    cut = _hdlc.answer_framer(client, server, lambda frame: not frame.numbered)
    frame = await asker.frame(cut, 0.5, _hdlc.encode(_hdlc.HdlcFrame(server, client, _hdlc.SNRM)))
    if frame is None:
        return []
    try:
        hdlc_frame = _hdlc.decode(frame)
    except DataError:
        asker.heard += 1
        return []
    if hdlc_frame.control | _hdlc.FINAL == _hdlc.UA:
        await asker.frame(cut, 0.5, _hdlc.encode(_hdlc.HdlcFrame(server, client, _hdlc.DISC)))
    return [FoundDevice("dlms", "a meter that speaks DLMS on HDLC", line=asker.line)]


async def _mbus_meters(asker: Asker) -> list[FoundDevice]:
    reset = _mbus_link.short_frame(_mbus_link.SND_NKE, EVERYBODY)
    before, wait_s = asker.heard, MBUS_S + asker.on_the_wire_s(MBUS_BITS)
    somebody = await asker.frame(_mbus_link.next_ack, wait_s, reset)
    if somebody is None and (asker.heard == before or asker.baud <= SLOW):
        return []
    one = await _mbus_telegram(asker, EVERYBODY)
    if one is not None:
        return [one]
    # several at once answer in each other's words; a noise answers even those who cannot be there
    before = asker.heard
    nobody = await asker.frame(
        _mbus_link.next_ack, wait_s, _mbus_link.short_frame(_mbus_link.SND_NKE, NOBODY)
    )
    if nobody is not None or asker.heard > before:
        return []
    found = []
    step_s = wait_s * asker.patience + asker.on_the_wire_s(IDLE_BITS)
    for place, address in enumerate(PRIMARY):
        more_s = 0.0 if place else step_s * len(PRIMARY)
        asker.tick(f"M-Bus address {address}", step_s, more_s)
        reset = _mbus_link.short_frame(_mbus_link.SND_NKE, address)
        if await asker.frame(_mbus_link.next_ack, wait_s, reset) is not None:
            meter = await _mbus_telegram(asker, address)
            found += [meter] if meter is not None else []
    return found


async def _mbus_telegram(asker: Asker, address: int) -> FoundDevice | None:
    request = _mbus_link.short_frame(_mbus_link.REQ_UD2 | _mbus_link.FCB, address)
    target = _mbus_link.SELECTED if address == EVERYBODY else address
    wait_s = MBUS_S + asker.on_the_wire_s(MBUS_BITS + TELEGRAM_BITS)
    step_s = wait_s * asker.patience
    asker.tick(f"M-Bus address {address} answers", step_s, step_s)
    frame = await asker.frame(_mbus_link.answer_framer(target), wait_s, request)
    if frame is None:
        return None
    try:
        telegram = mbus.parse_telegram(frame)
        sender = _mbus_link.parse_long(frame)[1]
    except DataError:
        asker.heard += 1
        return None
    number = telegram.identity.rpartition(" ")[2]
    what = f"a meter on M-Bus, {telegram.identity}, address {sender}"
    # one that has never been given an address has 0, as all others fresh from the factory
    options = {"secondary": number} if sender == 0 else {"address": sender}
    return FoundDevice("mbus", what, options, number, line=asker.line)


async def _iec62056_meter(asker: Asker) -> list[FoundDevice]:
    frame = await asker.frame(_iec62056.next_ident, 3.0, add_parity(_iec62056.sign_on()))
    if frame is None:
        return []
    try:
        ident = _iec62056.ident(frame)
    except DataError:
        asker.heard += 1
        return []
    what = f"a meter of IEC 62056-21, {ident.maker} {ident.text.strip()}".rstrip()
    return [FoundDevice("iec62056", what, line=asker.line)]


# what is asked at which settings, and how long that takes at most (seconds)
QUESTIONS: Final[tuple[tuple[str, Question, tuple[str, ...], float], ...]] = (
    ("Winsen", _winsen_sensor, ("9600 8N1",), 0.5),
    ("Canoga", _canoga_card, ("9600 8N1",), 0.3),
    ("SDS011", _sds011, ("9600 8N1",), 1.2),
    ("SPS30", _sps30, ("115200 8N1",), 0.3),
    ("DL/T 645", _dlt645_meter, ("2400 8E1", "9600 8E1", "1200 8E1", "4800 8E1"), 0.9),
    ("DLMS", _dlms_meter, ("9600 8N1", "2400 8N1"), 0.6),
    ("M-Bus", _mbus_meters, ("2400 8E1", "9600 8E1", "300 8E1"), 0.8),
    ("IEC 62056-21", _iec62056_meter, ("300 7E1",), 3.2),
)


def estimate_s() -> float:
    """At most, on a line where nobody answers."""
    return sum(len(lines) * seconds for _, _, lines, seconds in QUESTIONS)
