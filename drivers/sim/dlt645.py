"""A simulated DL/T 645-2007 meter: reads (11, 12, 13) answered as a meter does, with its refusals.

Source: DL/T 645-2007. It has tables and an encoder of its own. It answers blocks (FF) unless it
was built without, single items, its address and number, and its status words; longer answers than
`chunk` come in several frames. Nothing can be written into it.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from drivers.sim._responder import NOISE, Responder, TimedReply, Values

FAULTS: Final = ("silent", "crc", "cut", "noise", "late", "foreign", "echo", "refuse", "wrong_item")

PAUSE_S: Final = 0.5  # between two bytes of one frame
TURNAROUND_S: Final = 0.02  # the least that the standard asks for
# data identifier -> (points in the order of its block, bytes of a value, steps in one unit)
ROWS: Final[dict[str, tuple[tuple[str, ...], int, float]]] = {
    "00000000": (("energy_combined",), 4, 100),
    "0001ff00": (("energy_import", *(f"energy_import_t{n}" for n in (1, 2, 3, 4))), 4, 100),
    "0002ff00": (("energy_export", *(f"energy_export_t{n}" for n in (1, 2, 3, 4))), 4, 100),
    "0201ff00": (("voltage_l1", "voltage_l2", "voltage_l3"), 2, 10),
    "0202ff00": (("current_l1", "current_l2", "current_l3"), 3, 1000),
    "0203ff00": (("power", "power_l1", "power_l2", "power_l3"), 3, 10),
    "0204ff00": (
        ("reactive_power", "reactive_power_l1", "reactive_power_l2", "reactive_power_l3"), 3, 10,
    ),
    "0205ff00": (
        ("apparent_power", "apparent_power_l1", "apparent_power_l2", "apparent_power_l3"), 3, 10,
    ),
    "0206ff00": (
        ("power_factor", "power_factor_l1", "power_factor_l2", "power_factor_l3"), 2, 1000,
    ),
    "02800002": (("frequency",), 2, 100),
}  # fmt: skip
NO_SUCH_DATA, OTHER = 0x02, 0x01


def encode_frame(address: str, control: int, data: bytes) -> bytes:
    """A frame with the bytes that wake the receiver before it."""
    coded = bytes.fromhex(address)[::-1]
    moved = bytes((value + 0x33) % 256 for value in data)
    body = b"\x68" + coded + b"\x68" + bytes([control, len(moved)]) + moved
    return b"\xfe\xfe\xfe\xfe" + body + bytes([sum(body) % 256]) + b"\x16"


def encode_bcd(value: float, size: int, steps: float) -> bytes:
    """Packed digits, the low ones first; a minus is the highest bit."""
    count = round(abs(value) * steps)
    text = f"{count:0{2 * size}d}"
    if len(text) > 2 * size or (value < 0 and text[0] > "7"):
        raise OverflowError(f"it has {2 * size} digits")
    raw = bytearray(int(text[at : at + 2], 16) for at in range(2 * size - 2, -1, -2))
    if value < 0 and count:
        raw[-1] |= 0x80
    return bytes(raw)


class Dlt645(Responder):
    """One meter. `values` by point; a point that is not in them the meter does not have.

    `words` are its status words by number. `blocks` says whether it knows blocks; a single-phase
    meter fills the missing phases of a block with FF (`fill`), or leaves them out.
    """

    faults_known = FAULTS
    forgets_s = PAUSE_S

    def __init__(
        self,
        values: Values,
        address: str = "000000000161",
        number: str = "",
        words: Mapping[int, int] | None = None,
        blocks: bool = True,
        fill: bool = False,
        chunk: int = 200,
        turnaround_s: float = TURNAROUND_S,
        fault: str = "",
    ) -> None:
        super().__init__(fault)
        self.values, self.address, self.number = dict(values), address, number or address
        self.words = dict(words or {})
        self.blocks, self.fill, self.chunk, self.turnaround_s = blocks, fill, chunk, turnaround_s

    def hear(self, heard: bytes) -> tuple[bytes, list[TimedReply]]:
        """Requests for this meter, answered; others passed over."""
        replies: list[TimedReply] = []
        while True:
            start = heard.find(b"\x68")
            if start < 0:
                return b"", replies
            heard = heard[start:]
            if len(heard) < 10:
                return heard, replies
            size = 12 + heard[9]
            if heard[7] != 0x68 or (len(heard) >= size and heard[size - 1] != 0x16):
                heard = heard[1:]
                continue
            if len(heard) < size:
                return heard, replies
            one, heard = heard[:size], heard[size:]
            if sum(one[:-2]) % 256 == one[-2]:
                replies += self._answer(one)

    def tried(self) -> None:
        for keys, size, steps in ROWS.values():
            for key in self.values.keys() & set(keys):
                encode_bcd(self.values[key], size, steps)

    def _answer(self, one: bytes) -> Iterator[TimedReply]:
        target = one[1:7][::-1].hex()
        control = one[8]
        if target not in (self.address, "a" * 12) or control not in (0x11, 0x12, 0x13):
            return
        data = bytes((value - 0x33) % 256 for value in one[10:-2])
        fault = self.due()
        reply = encode_frame(self.address, *self._reply(control, data, fault))
        match fault:
            case "silent":
                return
            case "crc":
                reply = reply[:-2] + bytes([(reply[-2] + 1) % 256]) + reply[-1:]
            case "cut":
                reply = reply[: len(reply) // 2]
            case "noise":
                reply = NOISE + b"\x68" + reply
            case "foreign":
                other = f"{(int(self.address) + 1) % 10**12:012d}"
                reply = encode_frame(other, *self._reply(control, data, fault))
            case "echo":
                reply = one + reply
        yield self.turnaround_s + (self.late_s if fault == "late" else 0.0), reply

    def _reply(self, control: int, data: bytes, fault: str) -> tuple[int, bytes]:
        if control == 0x13:
            return 0x93, bytes.fromhex(self.address)[::-1]
        if fault == "refuse":
            return control | 0xC0, bytes([OTHER])
        name = data[:4][::-1].hex()
        held = self._held(name)
        if not held:
            return control | 0xC0, bytes([NO_SUCH_DATA])
        turn = data[4] if control == 0x12 and len(data) == 5 else 0
        part = held[turn * self.chunk : (turn + 1) * self.chunk]
        more = 0x20 if len(held) > (turn + 1) * self.chunk else 0
        tail = bytes([turn]) if control == 0x12 else b""
        if fault == "wrong_item":
            data = bytes([data[0] ^ 1]) + data[1:]
        return control | 0x80 | more, data[:4] + part + tail

    def _held(self, name: str) -> bytes:
        if name == "04000401":
            return bytes.fromhex(self.address)[::-1]
        if name == "04000402":
            return bytes.fromhex(self.number)[::-1] if self.number.isdecimal() else b""
        if name.startswith("040005") and self.words:
            numbers = range(1, 8) if name.endswith("ff") else [int(name[6:], 16)]
            if name.endswith("ff") and not self.blocks:
                return b""
            return b"".join(self.words.get(n, 0).to_bytes(2, "little") for n in numbers)
        for block, (keys, size, steps) in ROWS.items():
            if name == block and (self.blocks or len(keys) == 1):
                return self._block(keys, size, steps)
            first = 1 if len(keys) == 3 else 0
            for n, key in enumerate(keys):
                single = block[:4] + f"{first + n:02x}" + block[6:]
                if len(keys) > 1 and name == single and key in self.values:
                    return encode_bcd(self.values[key], size, steps)
        return b""

    def _block(self, keys: tuple[str, ...], size: int, steps: float) -> bytes:
        if not any(key in self.values for key in keys):
            return b""
        out = b""
        for key in keys:
            if key in self.values:
                out += encode_bcd(self.values[key], size, steps)
            elif self.fill:
                out += b"\xff" * size
        return out


DEVICE: Final = Dlt645
