"""A simulated IEC 62056-21 meter of mode D: it sends its telegram by itself, without a checksum.

Source: IEC 62056-21:2002, protocol mode D; the form of the telegram as an EasyMeter Q3D has it.
"""

from collections.abc import Mapping
from typing import Final

from drivers.sim._obis import data_set_lines, with_even_parity
from drivers.sim._talker import Talker

FAULTS: Final = (
    "silent",
    "parity",  # one character has the wrong parity
    "cut",  # it breaks off, and the next begins
    "noise",  # before the telegram
    "line",  # one line has lost characters, a bracket among them
)


class Iec62056Push(Talker):
    """One meter. `values` by point; a point that is not in them the meter does not have."""

    faults_known = FAULTS

    def __init__(
        self,
        values: Mapping[str, float],
        every_s: float = 2.0,
        serial: str = "10220010",
        status: str = "82",
        fault: str = "",
    ) -> None:
        super().__init__(every_s, fault)
        self.values, self.serial, self.status = dict(values), serial, status

    def telegram(self) -> bytes:
        """The next telegram, without parity."""
        data_lines = [
            f"1-0:0.0.0*255({self.serial})",
            *(line.replace("(", "*255(", 1) for line in data_set_lines(self.values, "1-0:")),
            f"1-0:96.5.5*255({self.status})",
        ]
        return (
            "/KST5SIMPUSH\r\n\r\n" + "".join(f"{line}\r\n" for line in data_lines) + "!\r\n"
        ).encode()

    def speak(self) -> bytes:
        data = with_even_parity(self.telegram())
        middle = data.index(with_even_parity(b"*"), len(data) // 2)
        match self.due():
            case "parity":
                return data[:middle] + bytes([data[middle] ^ 0x01]) + data[middle + 1 :]
            case "cut":
                return data[:middle]
            case "noise":
                return b"\xff\x00/!" + data
            case "line":
                return data[:middle] + data[middle + len("*255(") :]
        return data

    def hear(self, heard: bytes) -> bytes:
        """It does not listen."""
        return b""


DEVICE: Final = Iec62056Push
