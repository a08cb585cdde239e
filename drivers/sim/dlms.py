"""A simulated DLMS/COSEM meter on HDLC: association and GET answered as a meter does.

Source: IEC 62056-46 (HDLC), IEC 62056-53 (services), IEC 62056-62 (registers). It has tables and
an encoder of its own, and knows nothing of the library that the driver uses. It keeps the numbers
of HDLC: a frame that comes twice is answered by RR, and RR brings back what was not acknowledged.
Nothing can be written into it.
"""

from collections.abc import Iterator
from typing import Final

from drivers.sim._dlms_hdlc import (
    FLAG,
    encode_address,
    encode_frame,
    parse_frame,
    split_frames,
    wrong_hcs,
)
from drivers.sim._dlms_registers import ROWS, register
from drivers.sim._responder import NOISE, Responder, TimedReply, Values

FAULTS: Final = (
    "silent", "crc", "hcs", "cut", "noise", "late", "foreign", "echo", "refused", "disconnected",
    "out_of_step", "not_ready", "endless", "busy", "null", "text",
    "torn", "huge", "exception", "wrong_unit", "wrong_block",
)  # fmt: skip

TURNAROUND_S: Final = 0.01
ROOM: Final = 128
SERIAL, NAME, ERRORS = (
    b"\x00\x00\x60\x01\x00\xff",
    b"\x00\x00\x2a\x00\x00\xff",
    b"\x00\x00\x61\x61\x00\xff",
)
CONTEXT: Final = bytes.fromhex("a109060760857405080101")
PASSWORD: Final = bytes.fromhex("8a0207808b0760857405080201")  # what an AARQ with one has
UNDEFINED, TEMPORARY = 4, 2
ODD_DATA: Final[dict[str, bytes | int]] = {  # instead of a register's value, exponent and unit
    "busy": TEMPORARY, "null": b"\x00", "text": b"\x09\x031.5", "torn": b"\x06\x00\x01",
    "huge": b"\x01\x84\xff\xff\xff\xff\x00",
}  # fmt: skip


class Dlms(Responder):
    """One meter. `values` by point; a point that is not in them the meter does not have.

    `room` is how much information it takes and sends in one frame, `block` how many bytes of an
    answer it gives at a time (0: all). `client` is who may read, with `password` if there is one.
    """

    faults_known = FAULTS

    def __init__(
        self,
        values: Values,
        address: int = 0,
        logical: int = 1,
        client: int = 16,
        password: str = "",
        serial: str = "12345678",
        errors: int | None = 0,
        room: int = ROOM,
        block: int = 0,
        turnaround_s: float = TURNAROUND_S,
        fault: str = "",
    ) -> None:
        super().__init__(fault)
        self.values, self.serial, self.errors = dict(values), serial, errors
        self.password = password
        self.own, self.client = encode_address(logical, address), bytes([client * 2 + 1])
        self.room, self.block, self.turnaround_s = room, block, turnaround_s
        self._reset(connected=False)

    def _reset(self, connected: bool) -> None:
        self.connected, self.associated = connected, False
        self._next, self._awaited = 0, 0  # the number of our next frame, and of the master's
        self._request, self._segments, self._last = b"", list[bytes](), b""
        self._blocks: list[bytes] = []

    def hear(self, heard_: bytes) -> tuple[bytes, list[TimedReply]]:
        """Frames for this meter, answered; others passed over."""
        *frames, rest = split_frames(heard_)
        replies: list[TimedReply] = []
        for body in frames:
            parts = parse_frame(body)
            if parts is None or parts[:2] != (self.own, self.client):
                continue
            fault = self.due()
            reply = self._answer(parts[2], parts[3], parts[4], fault)
            replies += self._spoilt(reply, FLAG + body + FLAG, fault)
        return rest, replies

    def tried(self) -> None:
        for name, *_ in (row for rows in ROWS.values() for row in rows):
            register(self.values, bytes([1, 0, *map(int, name.split(".")), 255]), 2)

    def _spoilt(self, reply: bytes, question: bytes, fault: str) -> Iterator[TimedReply]:
        match fault:
            case "silent":
                return
            case "crc":
                reply = reply[:-2] + bytes([reply[-2] ^ 0x10]) + reply[-1:]
            case "hcs":
                reply = wrong_hcs(reply)
            case "cut":
                reply = reply[: len(reply) // 2]
            case "noise":
                reply = NOISE + b"\x7e\xa0" + reply
            case "foreign":
                parts = parse_frame(reply[1:-1])
                assert parts is not None
                reply = encode_frame(parts[0], b"\x7f", *parts[2:])
            case "echo":
                reply = question + reply
        yield self.turnaround_s + (self.late_s if fault == "late" else 0.0), reply

    # --- HDLC ---------------------------------------------------------------------------------

    def _answer(self, control: int, info: bytes, more: bool, fault: str) -> bytes:
        if control == 0x93:
            self._reset(connected=True)
            size = self.room.to_bytes(2, "big")
            terms = b"\x05\x02" + size + b"\x06\x02" + size
            terms += b"\x07\x04\x00\x00\x00\x01\x08\x04\x00\x00\x00\x01"
            return encode_frame(
                self.client, self.own, 0x73, b"\x81\x80" + bytes([len(terms)]) + terms
            )
        if not self.connected or fault == "disconnected":
            self._reset(connected=False)
            return encode_frame(self.client, self.own, 0x1F)
        if control == 0x53:
            self._reset(connected=False)
            return encode_frame(self.client, self.own, 0x73)
        if control & 1:
            return self._go_on(control, fault)
        if fault == "not_ready":
            return self._ready()
        if control >> 1 & 7 != self._awaited:
            return self._ready()
        self._awaited = (self._awaited + 1) % 8
        self._request += info[: 2048 - len(self._request)]
        if more:
            return self._ready()
        request, self._request = self._request, b""
        if request[:3] != b"\xe6\xe6\x00":
            return encode_frame(self.client, self.own, 0x97)
        answer = b"\xe6\xe7\x00" + self._reply(request[3:], fault)
        self._segments = [answer[at : at + self.room] for at in range(0, len(answer), self.room)]
        return self._segment(fault)

    def _go_on(self, control: int, fault: str) -> bytes:
        """RR: the next segment, or again what has not arrived."""
        if control & 0x0F != 1:
            return encode_frame(self.client, self.own, 0x97)
        if control >> 5 == (self._next - 1) % 8 and self._last:
            return self._last
        return self._segment(fault) if self._segments else self._ready()

    def _segment(self, fault: str) -> bytes:
        part = self._segments[0] if fault == "endless" else self._segments.pop(0)
        step = 3 if fault == "out_of_step" else 0
        control = self._awaited << 5 | 0x10 | ((self._next + step) % 8) << 1
        self._next = (self._next + 1) % 8
        self._last = encode_frame(self.client, self.own, control, part, bool(self._segments))
        return self._last

    def _ready(self) -> bytes:
        return encode_frame(self.client, self.own, self._awaited << 5 | 0x11)

    # --- DLMS ---------------------------------------------------------------------------------

    def _reply(self, apdu: bytes, fault: str) -> bytes:
        if apdu[:1] == b"\x60":
            return self._association(apdu, fault)
        if not self.associated or fault == "exception" or apdu[:1] != b"\xc0":
            return b"\xd8\x01\x01"
        head = apdu[2:3]
        if apdu[1:2] == b"\x02" and self._blocks:
            number = int.from_bytes(apdu[3:7], "big") + (2 if fault == "wrong_block" else 1)
            return self._block(head, number)
        if apdu[1:2] != b"\x01" or len(apdu) != 13:
            return b"\xd8\x01\x02"
        data = self._object(int.from_bytes(apdu[3:5], "big"), apdu[5:11], apdu[11], fault)
        if isinstance(data, int):
            return b"\xc4\x01" + head + b"\x01" + bytes([data])
        if self.block and len(data) > self.block:
            self._blocks = [data[at : at + self.block] for at in range(0, len(data), self.block)]
            return self._block(head, 1)
        return b"\xc4\x01" + head + b"\x00" + data

    def _block(self, head: bytes, number: int) -> bytes:
        part = self._blocks.pop(0)
        last = b"\x00" if self._blocks else b"\x01"
        head = b"\xc4\x02" + head + last + number.to_bytes(4, "big")
        return head + b"\x00" + bytes([len(part)]) + part

    def _association(self, apdu: bytes, fault: str) -> bytes:
        secret = b"\xac" + bytes([len(self.password) + 2, 0x80, len(self.password)])
        right = PASSWORD in apdu and secret + self.password.encode() in apdu
        known = CONTEXT in apdu and (right if self.password else PASSWORD not in apdu)
        self.associated = known and fault != "refused"
        terms = bytes.fromhex("be10040e0800065f1f0400001010") + b"\x04\x00\x00\x07"
        answer = CONTEXT + bytes.fromhex("a203020100a305a103020100") + terms
        if not self.associated:
            answer = CONTEXT + bytes.fromhex("a203020101a305a10302010d")
        return b"\x61" + bytes([len(answer)]) + answer

    def _object(self, kind: int, code: bytes, attribute: int, fault: str) -> bytes | int:
        if kind == 1 and attribute == 2:
            if code == SERIAL and self.serial:
                return b"\x09" + bytes([len(self.serial)]) + self.serial.encode()
            if code == NAME:
                return b"\x09\x10KRB" + bytes(5) + b"\x01\x02\x03\x04\x05\x06\x07\x08"
            if code == ERRORS and self.errors is not None:
                return b"\x06" + self.errors.to_bytes(4, "big")
        if fault in ODD_DATA and kind == 3:
            return ODD_DATA[fault]
        data = register(self.values, code, attribute) if kind == 3 else None
        if data is not None and fault == "wrong_unit" and attribute == 3:
            data = data[:-1] + b"\x0d"
        return UNDEFINED if data is None else data


DEVICE: Final = Dlms
