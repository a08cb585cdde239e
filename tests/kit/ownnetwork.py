"""A network that one process has for itself, and a cable to it that can be pulled.

    network = OwnNetwork()  # a network namespace, and a pair of interfaces; needs root
    ...  # (*network.command, "program") reaches this machine as `network.here`
    network.pull()  # no carrier there, and no route to anywhere
    network.plug()
    network.close()

What the process reads of /sys/class/net is its own network too, as on a box with one cable.
"""

import secrets
import subprocess
from typing import Final

FIRST: Final = 198 << 24 | 18 << 16  # 198.18.0.0/15: for tests of networks, and in use nowhere
PAIRS: Final = 1 << 15  # of four addresses each


class NoNetworkError(Exception):
    """None can be made here; the text says why."""


class OwnNetwork:
    """Made at once. Raises NoNetworkError."""

    def __init__(self) -> None:
        self.name = f"kb{secrets.token_hex(4)}"
        first = FIRST + 4 * secrets.randbelow(PAIRS)
        self.here, there = _dotted(first + 1), _dotted(first + 2)
        try:
            _ip("netns", "add", self.name)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "") or str(error)
            raise NoNetworkError(f"no network of its own may be made here: {said}") from error
        try:
            _ip("link", "add", self._mine, "type", "veth", "peer", "eth0", "netns", self.name)
            _ip("addr", "add", f"{self.here}/30", "dev", self._mine)
            _ip("link", "set", self._mine, "up")
            _ip("-n", self.name, "addr", "add", f"{there}/30", "dev", "eth0")
            _ip("-n", self.name, "link", "set", "lo", "up")
            self.plug()
        except BaseException:
            self.close()
            raise

    @property
    def _mine(self) -> str:
        return f"{self.name}h"

    @property
    def command(self) -> tuple[str, ...]:
        """Before a program and its arguments: it becomes that program."""
        return ("ip", "netns", "exec", self.name)

    def pull(self) -> None:
        """No carrier, and no route."""
        _ip("-n", self.name, "link", "set", "eth0", "down")

    def plug(self) -> None:
        _ip("-n", self.name, "link", "set", "eth0", "up")

    def close(self) -> None:
        _ip("netns", "delete", self.name)  # and with its last process the pair of interfaces


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def _dotted(number: int) -> str:
    return ".".join(str(number >> bits & 255) for bits in (24, 16, 8, 0))
