"""A simulated IEC 62056-21 meter: it is called at 300 baud and answers at the speed agreed on.

Source: IEC 62056-21:2002, protocol modes A, B and C. It hears only what is sent at the speed that
it listens at, with even parity or none to be seen; it takes its time before it answers; what it
says at another speed than the listener's is noise. On a pseudo-terminal it looks at the speed
that the other side has set, on a real port it changes its own.
"""

import re
import termios
import time
from collections.abc import Mapping
from typing import Final

from drivers.sim._obis import data_set_lines, with_even_parity
from drivers.sim._talker import Talker

FAULTS: Final = (
    "silent",
    "bcc",  # a wrong check character
    "flip",  # a digit is another one
    "parity",  # one character has the wrong parity
    "cut",  # it breaks off in the middle
    "deaf",  # it does not hear the acknowledgement
    "slow",  # it agrees and stays at 300 baud
    "noise",  # before the readout
    "error",  # F.F is not zero
)
BAUDS: Final = (300, 600, 1200, 2400, 4800, 9600, 19200)
SPEEDS: Final = {
    baud: int(getattr(termios, f"B{baud}")) for baud in BAUDS
}  # as termios numbers them
TICK_S: Final = 0.005
PATIENCE_S: Final = 1.5  # for an acknowledgement
PAUSE_S: Final = 1.5  # between two characters of one message
ACK_BYTES: Final = 6
_CALL: Final = re.compile(rb"/\?([0-9A-Za-z ]{0,32})!\r\n")
_ACK: Final = re.compile(rb"\x06([0-9])([0-9])([0-9])\r\n")


class Iec62056(Talker):
    """One meter. `values` by point; a point that is not in them the meter does not have.

    `speed` is its baud character: 0 to 6 for mode C, A to F for mode B, anything else is mode A.
    It answers a call to everybody or to its number, after `reaction_s`. `more` are further lines.
    `follows_s` is how much longer it waits on a pseudo-terminal until the other side has changed
    its speed: none, as a real meter, or more than a busy machine may stop that one.
    """

    faults_known = FAULTS
    forgets_s = PAUSE_S

    def __init__(
        self,
        values: Mapping[str, float],
        serial: str = "12345678",
        speed: str = "5",
        reaction_s: float = 0.25,
        maker: str = "KST",
        fault: str = "",
        more: tuple[str, ...] = (),
        follows_s: float = 0.0,
    ) -> None:
        super().__init__(TICK_S, fault)
        self.values, self.serial, self.speed = dict(values), serial, speed
        self.reaction_s, self.maker, self.more = reaction_s, maker, more
        self.follows_s = follows_s
        self._slow = False  # it stays at its first speed
        self.calls = 0  # that were for it
        self.now = time.monotonic
        self.baud = BAUDS[0]  # at which it listens
        self._due: list[tuple[float, int, bytes]] = []  # when, at which speed, what
        self._until = 0.0  # it waits for an acknowledgement

    def block(self) -> bytes:
        """The readout from STX to the check character, without parity."""
        fault = self.due()
        data_lines = [
            f"F.F({'00400000' if fault == 'error' else '00000000'})",
            f"0.0.0({self.serial})",
            *data_set_lines(self.values),
            *self.more,
        ]
        text = "".join(f"{line}\r\n" for line in data_lines).encode("ascii") + b"!\r\n\x03"
        check = 0
        for byte in text:
            check ^= byte
        data = b"\x02" + text + bytes([check ^ (fault == "bcc")])
        return self._spoil(with_even_parity(data), fault)

    def tried(self) -> None:
        self.block()

    def _spoil(self, data: bytes, fault: str) -> bytes:
        star = data.find(with_even_parity(b"*"))  # a digit stands before it
        middle = star - 2 if star > 0 else len(data) // 2
        match fault:
            case "flip":  # two bits, so that the parity is right again
                return data[:middle] + bytes([data[middle] ^ 0x03]) + data[middle + 1 :]
            case "parity":
                return data[:middle] + bytes([data[middle] ^ 0x80]) + data[middle + 1 :]
            case "cut":
                return data[: len(data) // 2]
            case "noise":
                return with_even_parity(b"\x7f\x00??") + data
        return data

    # --- what it hears and says -------------------------------------------------------------

    def hear(self, heard: bytes) -> bytes:
        """A call or an acknowledgement, at the speed that it listens at."""
        now = self.now()
        if self.line_speed() != self.baud or self.silent:
            return b""
        text = bytes(byte & 0x7F for byte in heard)
        if text != heard and with_even_parity(text) != heard:
            return b""  # wrong parity: it hears nothing
        if found := _CALL.search(text):
            if found[1] in (b"", self.serial.encode("ascii")):
                self.calls += 1
                self._called(now)
            return text[found.end() :]
        if found := _ACK.search(text):
            if now <= self._until and not self._deaf():
                self._agreed(now, int(found[2]), int(found[3]))
            return text[found.end() :]
        return heard[-40:]

    def _called(self, now: float) -> None:
        name = f"/{self.maker}{self.speed}SIM-3\r\n".encode("ascii")
        self._slow = False
        self._due = [(now + self.reaction_s, BAUDS[0], with_even_parity(name))]
        named = now + self.reaction_s + 10 * len(name) / BAUDS[0]  # when the last bit has left
        if self.speed.isdigit():
            self._until = named + PATIENCE_S
            return
        place = ord(self.speed) - ord("A") + 1
        baud = BAUDS[place] if 0 < place < len(BAUDS) else BAUDS[0]
        self._due.append((named + self.reaction_s, baud, self.block()))

    def _deaf(self) -> bool:
        if self.faults and self.faults[0] == "deaf":
            return bool(self.faults.popleft())
        return self.fault == "deaf"

    def _agreed(self, now: float, place: int, kind: int) -> None:
        self._until = 0.0
        if kind != 0:
            return  # programming mode is not simulated
        offered = int(self.speed)
        baud = BAUDS[place] if place == offered and place < len(BAUDS) else BAUDS[0]
        self._slow = "slow" in (self.fault, *self.faults)
        if self._slow:
            baud = BAUDS[0]
        # a pseudo-terminal has brought at once what takes its time on a wire
        heard = now + (10 * ACK_BYTES / BAUDS[0] if self._own else 0.0)
        self._due = [(heard + self.reaction_s, baud, self.block())]

    def speak(self) -> bytes:
        """What is due; at another speed than the listener's it is noise."""
        if not self._due:
            self.set_speed(BAUDS[0])  # to be called again
            return b""
        due, baud, data = self._due[0]
        follows = not self._slow and self.now() < due + self.follows_s
        if self.now() < due or (follows and self._own and self.line_speed() != baud):
            return b""
        self._due.pop(0)
        self.set_speed(baud)
        return data if self.line_speed() == baud else _garbled(data)

    def line_speed(self) -> int:
        """The speed that the other side has set; on a real port nobody can know it."""
        if not self._own:
            return self.baud
        number = termios.tcgetattr(self._own[1])[5]
        return next((baud for baud, code in SPEEDS.items() if code == number), 0)

    def set_speed(self, baud: int) -> None:
        """Its own speed, where the port is a real one; what was said before has left by then."""
        if self._own or self._fd < 0:
            return
        settings = termios.tcgetattr(self._fd)
        if settings[5] != SPEEDS[baud]:
            settings[4] = settings[5] = SPEEDS[baud]
            termios.tcsetattr(self._fd, termios.TCSADRAIN, settings)


def _garbled(data: bytes) -> bytes:
    """Too fast or too slow: bits run together."""
    return bytes((byte * 37 ^ 0x5A) & 0xFF for byte in data[::5])


DEVICE: Final = Iec62056
