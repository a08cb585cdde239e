"""A simulated smart meter with a P1 port: a telegram every second, with gas and water on its M-Bus.

Source: Netbeheer Nederland P1 Companion Standard 5.0.2; dsmr_parser's example of a DSMR 2 telegram
for `version` 2, which has no checksum and 7 bits with even parity.
"""

from collections.abc import Mapping
from typing import Final

from drivers.sim._obis import even, lines
from drivers.sim._talker import Talker

FAULTS: Final = (
    "silent",
    "crc",  # the checksum is of another telegram; before version 4 there is none
    "flip",  # one digit is another one
    "cut",  # it breaks off, and the next begins
    "noise",  # before the telegram
    "tail",  # the last four characters are lost: the checksum, where there is one
)
MBUS: Final = {"gas_volume": 3, "water_volume": 7, "warm_water_volume": 6, "heat_energy": 4}
CHANNELS: Final = 4
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
        fault: str = "",
    ) -> None:
        super().__init__(every_s, fault)
        self.values, self.serial = dict(values), serial
        self.version, self.swapped = version, swapped
        if len(MBUS.keys() & values.keys()) * (1 + swapped) > CHANNELS:
            raise ValueError(f"there are {CHANNELS} channels on the M-Bus of a meter")

    def telegram(self) -> bytes:
        """The next telegram as it should be; of version 2 without parity."""
        code = self.serial.encode("ascii").hex().upper()
        if self.version < 4:
            head = [f"0-0:96.1.1({code})"]
        else:
            head = ["1-3:0.2.8(50)", "0-0:1.0.0(261125120000W)", f"0-0:96.1.1({code})"]
        prefix = "1-0:"
        told = [*head, *lines(self.values, prefix), "0-0:96.14.0(0002)"]
        told += [f"{c}({round(self.values[k]):05d})" for k, c in SHORT.items() if k in self.values]
        told += ["0-0:96.13.0()", *self._mbus()]
        text = "/KST5\\2SIM-P1\r\n\r\n" + "".join(f"{line}\r\n" for line in told) + "!"
        data = text.encode("ascii")
        return data + (b"%04X" % crc16(data) if self.version >= 4 else b"") + b"\r\n"

    def _mbus(self) -> list[str]:
        told, channel = [], 0
        for key, kind in MBUS.items():
            if key not in self.values:
                continue
            unit, value = "m3", self.values[key]
            if kind == 4:
                unit, value = "GJ", value / GJ_KWH
            if self.swapped:
                channel += 1
                told += [f"0-{channel}:24.1.0({kind:03d})", f"0-{channel}:96.1.0()"]
            channel += 1
            told += [f"0-{channel}:24.1.0({kind:03d})", f"0-{channel}:96.1.0(3447)"]
            if self.version < 4:
                head = f"0-{channel}:24.3.0(261125120000)(00)(60)(1)(0-{channel}:24.2.1)({unit})"
                told += [f"{head}\r\n({value:09.3f})"]
            else:
                told += [f"0-{channel}:24.2.1(261125115500W)({value:09.3f}*{unit})"]
        return told

    def speak(self) -> bytes:
        data = self.telegram() if self.version >= 4 else even(self.telegram())
        star = data.find(b"*" if self.version >= 4 else even(b"*"))  # a digit stands before it
        middle = star - 2 if star > 0 else len(data) // 2
        match self.due():
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


DEVICE: Final = Dsmr
