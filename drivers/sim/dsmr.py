"""A simulated smart meter with a P1 port: a telegram every second, with the meters on its M-Bus.

Source: Netbeheer Nederland P1 Companion Standard 5.0.2; dsmr_parser's example of a DSMR 2 telegram
for `version` 2, which has no checksum and 7 bits with even parity.
"""

from collections.abc import Mapping
from typing import Final

from drivers.sim._obis import data_set_lines, with_even_parity
from drivers.sim._talker import Talker

FAULTS: Final = (
    "silent",
    "crc",  # the checksum is of another telegram; before version 4 there is none
    "flip",  # one digit is another one
    "cut",  # it breaks off, and the next begins
    "noise",  # before the telegram
    "tail",  # the last four characters are lost: the checksum, where there is one
    "channels",  # the meters on its M-Bus have other channels, and another order, each time
)
MBUS: Final = {"gas_volume": 3, "water_volume": 7, "warm_water_volume": 6, "heat_energy": 4}
NAMED: Final = {"gas_volume": "gas", "water_volume": "water", "warm_water_volume": "warm_water",
                "heat_energy": "heat"}  # as a configuration names them  # fmt: skip
CHANNELS: Final = 4
MORE_POINTS: Final = tuple(f"{key}_{n}" for key in MBUS for n in range(2, CHANNELS + 1))
GJ_KWH: Final = 1000 / 3.6
SHORT: Final = {"power_failures": "0-0:96.7.21", "long_power_failures": "0-0:96.7.9"}


def crc16(data: bytes) -> int:
    """CRC-16/ARC bit by bit: x^16 + x^15 + x^2 + 1, the lowest bit first, from zero."""
    crc = 0
    for byte in data:
        for bit in range(8):
            wrong = crc & 1 ^ byte >> bit & 1
            crc = crc >> 1 ^ (0xA001 if wrong else 0)
    return crc


class Dsmr(Talker):
    """One meter. `values` by point; a point that is not in them the meter does not have.

    `gas_volume_2` is a second gas meter, with an identifier of its own (`names`, by point).
    `version` is 5 or 2. `swapped` gives each kind of M-Bus device an older one, on the channel
    before it, that is no longer there.
    """

    faults_known = FAULTS

    def __init__(
        self,
        values: Mapping[str, float],
        every_s: float = 1.0,
        serial: str = "E0047000123456719",
        version: int = 5,
        swapped: bool = False,
        names: Mapping[str, str] | None = None,
        fault: str = "",
    ) -> None:
        super().__init__(every_s, fault)
        self.values, self.serial = dict(values), serial
        self.version, self.swapped = version, swapped
        self.turn = 0
        self.meters = [key for key in (*MBUS, *MORE_POINTS) if key in values]
        made = {key: f"S{MBUS[_stem(key)]:03d}{n:08d}" for n, key in enumerate(self.meters)}
        self.names = {**made, **(names or {})}
        if len(self.meters) * (1 + swapped) > CHANNELS:
            raise ValueError(f"there are {CHANNELS} channels on the M-Bus of a meter")

    @property
    def options(self) -> dict[str, list[str]]:
        """What a configuration must say to read all its meters."""
        by_stem = {stem: [k for k in self.meters if _stem(k) == stem] for stem in MBUS}
        return {
            NAMED[stem]: [self.names[key] for key in keys]
            for stem, keys in by_stem.items()
            if len(keys) > 1
        }

    def telegram(self) -> bytes:
        """The next telegram as it should be; of version 2 without parity."""
        code = self.serial.encode("ascii").hex().upper()
        if self.version < 4:
            head = [f"0-0:96.1.1({code})"]
        else:
            head = ["1-3:0.2.8(50)", "0-0:1.0.0(261125120000W)", f"0-0:96.1.1({code})"]
        prefix = "1-0:"
        data_lines = [*head, *data_set_lines(self.values, prefix), "0-0:96.14.0(0002)"]
        data_lines += [
            f"{c}({round(self.values[k]):05d})" for k, c in SHORT.items() if k in self.values
        ]
        data_lines += ["0-0:96.13.0()", *self._mbus()]
        text = "/KST5\\2SIM-P1\r\n\r\n" + "".join(f"{line}\r\n" for line in data_lines) + "!"
        data = text.encode("ascii")
        return data + (b"%04X" % crc16(data) if self.version >= 4 else b"") + b"\r\n"

    def _mbus(self) -> list[str]:
        lines, channel = [], 0
        turn = self.turn % max(1, len(self.meters))
        for key in self.meters[turn:] + self.meters[:turn]:
            kind = MBUS[_stem(key)]
            unit, value = "m3", self.values[key]
            if kind == 4:
                unit, value = "GJ", value / GJ_KWH
            if self.swapped:
                channel += 1
                lines += [f"0-{channel}:24.1.0({kind:03d})", f"0-{channel}:96.1.0()"]
            channel += 1
            name = self.names[key].encode("ascii").hex().upper()
            lines += [f"0-{channel}:24.1.0({kind:03d})", f"0-{channel}:96.1.0({name})"]
            if self.version < 4:
                head = f"0-{channel}:24.3.0(261125120000)(00)(60)(1)(0-{channel}:24.2.1)({unit})"
                lines += [f"{head}\r\n({value:09.3f})"]
            else:
                lines += [f"0-{channel}:24.2.1(261125115500W)({value:09.3f}*{unit})"]
        return lines

    def speak(self) -> bytes:
        fault = self.due()
        self.turn += fault == "channels"
        data = self.telegram() if self.version >= 4 else with_even_parity(self.telegram())
        star = data.find(
            b"*" if self.version >= 4 else with_even_parity(b"*")
        )  # a digit stands before it
        middle = star - 2 if star > 0 else len(data) // 2
        match fault:
            case "crc" if self.version >= 4:
                data = data[:-6] + b"%04X" % (int(data[-6:-2], 16) ^ 0x0100) + data[-2:]
            case "flip":
                data = data[:middle] + bytes([data[middle] ^ 0x01]) + data[middle + 1 :]
            case "cut":
                data = data[: len(data) // 2]
            case "noise":
                data = b"\xff/\x00!AB" + data
            case "tail":
                data = data[:-6] + data[-2:]
        return data

    def hear(self, heard: bytes) -> bytes:
        """It does not listen: what asks it to talk is a pin."""
        return b""


def _stem(key: str) -> str:
    """The kind of meter that a point is of."""
    return key.rstrip("_0123456789")


DEVICE: Final = Dsmr
