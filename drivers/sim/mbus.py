"""A simulated meter on a wired M-Bus: resets, selection and readout, in one or several telegrams.

Source: EN 13757-2, EN 13757-3. It has an encoder of its own. It answers SND_NKE, selection by its
number, and REQ_UD2 with a frame count bit that it keeps as a meter does: the same bit again is the
same telegram again. Nothing can be written into it.
"""

import struct
from collections.abc import Iterator
from typing import Final

from drivers.sim._responder import NOISE, Responder, TimedReply, Values

FAULTS: Final = (
    "silent", "crc", "cut", "noise", "late", "foreign", "no_data", "error", "encrypted", "fixed",
    "torn", "endless",
)  # fmt: skip

ROOM: Final = 230  # bytes of records in one telegram
TURNAROUND_S: Final = 0.005  # 11 bit times to 330 bit times and 50 ms
ELECTRICITY, HEAT = 0x02, 0x04
# point -> how it is told: data field and unit in hex, kind of number, steps in one unit
WAYS: Final = {
    "energy_import": ("0603", "i", 1000),
    "energy_export": ("06833c", "i", 1000),
    **{f"energy_import_t{t}": (f"8e{t}003", "b", 1000) for t in (1, 2, 3)},
    "energy_import_t4": ("8e801003", "b", 1000),
    "reactive_energy_import": ("06fb02", "i", 1),
    "power": ("042a", "i", 10),
    "reactive_power": ("04fb14", "i", 1),
    "voltage": ("02fd48", "i", 10),
    "current": ("04fd59", "i", 1000),
    **{f"power_l{n}": (f"04aaff0{n}", "i", 10) for n in (1, 2, 3)},
    **{f"reactive_power_l{n}": (f"04fb94fc0{n}", "i", 1) for n in (1, 2, 3)},
    **{f"voltage_l{n}": (f"02fdc8ff0{n}", "i", 10) for n in (1, 2, 3)},
    **{f"current_l{n}": (f"04fdd9fc0{n}", "i", 1000) for n in (1, 2, 3)},
    "apparent_power": ("04fb34", "i", 1),
    "frequency": ("05fb2c", "f", 1000),
    "energy": ("0c06", "b", 1),
    "volume": ("0c14", "b", 100),
    "volume_flow": ("0b3b", "b", 1000),
    "temperature_flow": ("0a5a", "b", 10),
    "temperature_return": ("0a5e", "b", 10),
    "temperature_difference": ("0b60", "b", 1000),
}
SIZES: Final = {2: 2, 4: 4, 6: 6, 0xA: 2, 0xB: 3, 0xC: 4, 0xE: 6}
PAST: Final = bytes.fromhex("44 03 01000000")  # storage 1: energy at the last due day
HIGHEST: Final = bytes.fromhex("14 2a 40420f00")  # the highest power


def encode_record(key: str, value: float) -> bytes:
    """One value as a record."""
    head, kind, steps = WAYS[key]
    start = bytes.fromhex(head)
    if kind == "f":
        return start + struct.pack("<f", value * steps)
    size = SIZES[start[0] & 0x0F]
    count = round(value * steps)
    if kind == "i":
        return start + count.to_bytes(size, "little", signed=True)
    text = f"{abs(count):0{2 * size}d}"
    if len(text) > 2 * size or (count < 0 and text[0] != "0"):
        raise OverflowError(f"it has {2 * size} digits, of which a minus takes one")
    if count < 0:
        text = "f" + text[1:]
    return start + bytes.fromhex(text)[::-1]


def long_frame(control: int, address: int, ci: int, data: bytes) -> bytes:
    """A telegram with data."""
    body = bytes([control, address, ci]) + data
    return bytes([0x68, len(body), len(body), 0x68]) + body + bytes([sum(body) % 256, 0x16])


class Mbus(Responder):
    """One meter. `values` by point. `status` is its status byte, `flags` its error flags.

    `per_telegram` is how many records one telegram holds; the rest come with the next.
    """

    faults_known = FAULTS

    def __init__(
        self,
        values: Values,
        address: int = 1,
        number: str = "12345678",
        maker: str = "KRB",
        medium: int = ELECTRICITY,
        status: int = 0,
        flags: int = 0,
        per_telegram: int = 100,
        turnaround_s: float = TURNAROUND_S,
        fault: str = "",
    ) -> None:
        super().__init__(fault)
        self.values, self.address, self.number, self.maker = dict(values), address, number, maker
        self.medium, self.status, self.flags = medium, status, flags
        self.per_telegram, self.turnaround_s = per_telegram, turnaround_s
        self.selected = False
        self._turn, self._bit, self._access = -1, -1, 0

    def hear(self, heard: bytes) -> tuple[bytes, list[TimedReply]]:
        """Requests for this meter, answered; others passed over."""
        replies: list[TimedReply] = []
        while heard:
            if heard[0] == 0x10:
                if len(heard) < 5:
                    break
                one, heard = heard[:5], heard[5:]
                if (one[1] + one[2]) % 256 == one[3] and one[4] == 0x16:
                    replies += self._short(one[1], one[2])
            elif heard[0] == 0x68:
                begun = bytes([0x68, *heard[1:2] * 2, 0x68])[: len(heard)]
                if heard[:4] != begun or (len(heard) > 1 and heard[1] < 3):
                    heard = heard[1:]
                    continue
                if len(heard) < 4 or len(heard) < heard[1] + 6:
                    break
                one, heard = heard[: heard[1] + 6], heard[heard[1] + 6 :]
                selects = one[4] & 0xDF == 0x53 and one[5:7] == b"\xfd\x52"  # with FCB or without
                if selects and sum(one[4:-2]) % 256 == one[-2]:
                    replies += self._select(one[7:-2])
            else:
                heard = heard[1:]
        return heard, replies

    def tried(self) -> None:
        for key, value in self.values.items():
            encode_record(key, value)

    def _mine(self, address: int) -> bool:
        return address in (self.address, 254) or (address == 253 and self.selected)

    def _select(self, wanted: bytes) -> Iterator[TimedReply]:
        maker = 0
        for letter in self.maker:
            maker = maker * 32 + ord(letter) - 64
        own = bytes.fromhex(self.number)[::-1] + struct.pack("<HBB", maker, 1, self.medium)
        digits = zip(own[:4].hex(), wanted[:4].hex(), strict=False)
        rest = zip(own[4:], wanted[4:], strict=False)
        self.selected = (
            len(wanted) == 8
            and all(asked in ("f", held) for held, asked in digits)
            and all(asked in (0xFF, held) for held, asked in rest)
        )
        if self.selected:
            self._turn, self._bit = -1, -1
            yield from self._ack()

    def _short(self, control: int, address: int) -> Iterator[TimedReply]:
        if control == 0x40 and address == 253:
            self.selected = False
        elif control == 0x40 and self._mine(address):
            self._turn, self._bit = -1, -1
            yield from self._ack()
        elif control & 0xDF == 0x5B and self._mine(address):
            bit = control >> 5 & 1
            if bit != self._bit:
                self._turn, self._bit = self._turn + 1, bit
            yield from self._data()

    def _ack(self) -> Iterator[TimedReply]:
        if self.fault == "silent":
            self.asked += 1  # nobody goes on to the question for its data
            return
        yield self.turnaround_s, b"\xe5"

    def _data(self) -> Iterator[TimedReply]:
        fault = self.due()
        address = self.address + 1 if fault == "foreign" else self.address
        reply = long_frame(0x08, address, 0x72, self._reply(fault))
        match fault:
            case "silent":
                return
            case "no_data":
                reply = b"\xe5"
            case "crc":
                reply = reply[:-2] + bytes([(reply[-2] + 1) % 256]) + reply[-1:]
            case "cut":
                reply = reply[: len(reply) // 2]
            case "noise":
                reply = NOISE + b"\x68\x05" + reply
            case "error":
                reply = long_frame(0x08, address, 0x70, b"\x08")
            case "fixed":
                number = bytes.fromhex(self.number)[::-1]
                reply = long_frame(0x08, address, 0x73, number + bytes(12))
        yield self.turnaround_s + (self.late_s if fault == "late" else 0.0), reply

    def _reply(self, fault: str) -> bytes:
        records = [encode_record(key, value) for key, value in self.values.items()]
        records += [PAST, HIGHEST] if self.medium == ELECTRICITY else []
        records += [b"\x02\xfd\x17" + self.flags.to_bytes(2, "little")]
        parts: list[list[bytes]] = [[]]
        for one in records:
            if len(parts[-1]) == self.per_telegram or len(b"".join(parts[-1]) + one) > ROOM:
                parts.append([])
            parts[-1].append(one)
        part = parts[self._turn % len(parts)]
        last = self._turn % len(parts) == len(parts) - 1 and fault != "endless"
        body = b"\x2f" + b"".join(part) + (b"" if last else b"\x1f")
        if fault == "torn":
            body = body[:-3]
        maker = 0
        for letter in self.maker:
            maker = maker * 32 + ord(letter) - 64
        self._access = (self._access + 1) % 256
        signature = 0x0500 if fault == "encrypted" else 0
        head = struct.pack("<HBBBBH", maker, 1, self.medium, self._access, self.status, signature)
        return bytes.fromhex(self.number)[::-1] + head + body


DEVICE: Final = Mbus
