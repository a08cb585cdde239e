"""A simulated German smart meter: SML frames from its optical port, with or without the PIN.

Source: SML 1.04 (BSI TR-03109-1, annex IV b), binary encoding and transport; OBIS codes and status
word after FNN Lastenheft EDL. Without the PIN it shows whole kWh and no power, as the meters do.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from drivers.sim._talker import Talker

FAULTS: Final = (
    "silent",
    "crc",  # of the frame
    "message_crc",  # of one message, and that of the frame is right
    "flip",  # one bit is another one
    "cut",  # it breaks off, and the next begins
    "noise",  # before the frame
)
ESCAPE: Final = b"\x1b" * 4
W, WH, A, V, HZ, DEG = 27, 30, 33, 35, 44, 8
ROWS: Final[Mapping[str, tuple[str, int, int]]] = {  # point -> code, unit, power of ten
    "energy_import": ("0100010800ff", WH, -1),
    "energy_import_t1": ("0100010801ff", WH, -1),
    "energy_import_t2": ("0100010802ff", WH, -1),
    "energy_export": ("0100020800ff", WH, -1),
    "energy_export_t1": ("0100020801ff", WH, -1),
    "energy_export_t2": ("0100020802ff", WH, -1),
    "power": ("0100100700ff", W, -2),
    "power_l1": ("0100240700ff", W, -2),
    "power_l2": ("0100380700ff", W, -2),
    "power_l3": ("01004c0700ff", W, -2),
    "voltage_l1": ("0100200700ff", V, -1),
    "voltage_l2": ("0100340700ff", V, -1),
    "voltage_l3": ("0100480700ff", V, -1),
    "current_l1": ("01001f0700ff", A, -2),
    "current_l2": ("0100330700ff", A, -2),
    "current_l3": ("0100470700ff", A, -2),
    "frequency": ("01000e0700ff", HZ, -1),
    "voltage_angle_l2": ("0100510701ff", DEG, 0),
    "voltage_angle_l3": ("0100510702ff", DEG, 0),
    "phase_angle_l1": ("0100510704ff", DEG, 0),
    "phase_angle_l2": ("010051070fff", DEG, 0),
    "phase_angle_l3": ("010051071aff", DEG, 0),
}
NOTHING: Final = b"\x01"  # an optional part that is left out


# --- encoding -----------------------------------------------------------------------------------


def crc(data: bytes, kermit: bool = False) -> bytes:
    """CRC-16/X-25 as it stands on the wire, or Kermit, of which the high byte comes first."""
    state = 0 if kermit else 0xFFFF
    for byte in data:
        for bit in range(8):
            wrong = state & 1 ^ byte >> bit & 1
            state = state >> 1 ^ (0x8408 if wrong else 0)
    return state.to_bytes(2) if kermit else (state ^ 0xFFFF).to_bytes(2, "little")


def encode_octets(raw: bytes) -> bytes:
    """A string of bytes; its length counts the bytes that tell it."""
    if len(raw) < 15:
        return bytes([len(raw) + 1]) + raw
    total = len(raw) + 2
    return bytes([0x80 | total >> 4, total & 0x0F]) + raw


def unsigned(value: int, size: int) -> bytes:
    return bytes([0x60 | size + 1]) + value.to_bytes(size)


def signed(value: int, size: int) -> bytes:
    return bytes([0x50 | size + 1]) + value.to_bytes(size, signed=True)


def encode_list(*parts: bytes) -> bytes:
    """A list; its length counts its parts."""
    count = len(parts)
    head = bytes([0x70 | count]) if count < 16 else bytes([0xF0 | count >> 4, count & 0x0F])
    return head + b"".join(parts)


def encode_message(
    number: int, tag: int, body: bytes, kermit: bool = False, spoil: bool = False
) -> bytes:
    head = b"\x76" + encode_octets(number.to_bytes(4)) + unsigned(0, 1) + unsigned(0, 1)
    head += encode_list(unsigned(tag, 2), body)
    check = crc(head, kermit)
    if spoil:
        check = bytes([check[0] ^ 0x10, check[1]])
    return head + b"\x63" + check + b"\x00"


def encode_frame(messages: bytes, kermit: bool = False) -> bytes:
    """A frame: escapes doubled, filled up to four bytes, with its checksum."""
    padding = -len(messages) % 4
    body = (messages + b"\x00" * padding).replace(ESCAPE, ESCAPE * 2)
    data = ESCAPE + b"\x01" * 4 + body + ESCAPE + b"\x1a" + bytes([padding])
    return data + crc(data, kermit)


# --- the meter ----------------------------------------------------------------------------------


class Sml(Talker):
    """One meter. `values` by point; a point that is not in them the meter does not have.

    `pin` says whether the customer has entered it. `server` is its id, ten bytes. `status` goes
    with the first energy. `kermit` takes the other checksum. `small_signed` is the fault of the
    DZG DVS74: a power that needs the highest bit of a small signed number looks negative.
    """

    faults_known = FAULTS

    def __init__(
        self,
        values: Mapping[str, float],
        every_s: float = 1.0,
        server: str = "0a014b535400003039ab",
        pin: bool = True,
        status: int = 0x1C0104,
        kermit: bool = False,
        small_signed: bool = False,
        fault: str = "",
    ) -> None:
        super().__init__(every_s, fault)
        self.values, self.server, self.pin = dict(values), bytes.fromhex(server), pin
        self.status, self.kermit, self.small_signed = status, kermit, small_signed
        self._number = 0x1B1B1B1A  # the next message's number has an escape in it

    def frame(self, spoil: bool = False) -> bytes:
        """The next frame; `spoil` makes the checksum of one message wrong."""
        numbers = [self._number + step for step in (1, 2, 3)]
        self._number = (self._number + 1) % 0xFFFFFFF0
        opened = encode_list(
            NOTHING,
            NOTHING,
            encode_octets(b"\x00\x01"),
            encode_octets(self.server),
            NOTHING,
            NOTHING,
        )
        values = encode_list(*self._entries())
        time = encode_list(unsigned(1, 1), unsigned(self._number & 0xFFFFFF, 4))
        code = encode_octets(bytes.fromhex("0100620affff"))
        frame = encode_list(
            NOTHING, encode_octets(self.server), code, time, values, NOTHING, NOTHING
        )
        return encode_frame(
            encode_message(numbers[0], 0x0101, opened, self.kermit)
            + encode_message(numbers[1], 0x0701, frame, self.kermit, spoil)
            + encode_message(numbers[2], 0x0201, encode_list(NOTHING), self.kermit),
            self.kermit,
        )

    def _entries(self) -> Iterator[bytes]:
        name = encode_octets(bytes.fromhex("0100600100ff"))
        yield encode_list(
            name, NOTHING, NOTHING, NOTHING, NOTHING, encode_octets(self.server), NOTHING
        )
        status = unsigned(self.status, 4)
        for key, (code, unit, scaler) in ROWS.items():
            if key not in self.values:
                continue
            value = self.values[key]
            if unit == WH:
                count = round((value if self.pin else int(value)) * 1000 / 10**scaler)
                number = unsigned(count, 8)
            elif self.pin:
                number = self._signed(round(value / 10.0**scaler), key)
            else:
                continue
            parts = (status, NOTHING, unsigned(unit, 1), signed(scaler, 1), number, NOTHING)
            yield encode_list(encode_octets(bytes.fromhex(code)), *parts)
            status = NOTHING

    def _signed(self, count: int, key: str) -> bytes:
        if self.small_signed and key == "power" and count > 0:
            size = (count.bit_length() + 7) // 8
            return bytes([0x50 | size + 1]) + count.to_bytes(size)
        return signed(count, 4)

    def speak(self) -> bytes:
        fault = self.due()
        data = self.frame(spoil=fault == "message_crc")
        middle = len(data) // 2
        match fault:
            case "crc":
                return data[:-1] + bytes([data[-1] ^ 0x01])
            case "flip":
                return data[:middle] + bytes([data[middle] ^ 0x04]) + data[middle + 1 :]
            case "cut":
                return data[:middle]
            case "noise":
                return b"\x1b\x1b\x1b\x00\x01" + data
        return data

    def hear(self, heard: bytes) -> bytes:
        """It does not listen: a PIN is entered by lamp or key."""
        return b""


DEVICE: Final = Sml
