"""A command on a real pseudo-terminal, and what its screen shows: a person at 80 columns.

    with PtyScreen([*KERBSTONE, "read", "--all", "--watch"], cwd=ROOT) as screen:
        screen.wait("hut_air")
        screen.type("\\x03")  # Ctrl-C
        assert screen.end() == 130

The terminal is pyte's (a VT100 with colours); `sent` is every byte that came over the line.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte

LIMIT_S = 60.0


class PtyScreen:
    """Starts the command at once; within its `with`, the process is gone at the end."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        columns: int = 80,
        lines: int = 24,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`environ` is added to a plain one: TERM=xterm-256color and UTF-8."""
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.sent = bytearray()
        plain = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
        words = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "COLUMNS": "", "LINES": ""}
        self._master, slave = pty.openpty()
        self.resize(columns, lines)
        self._process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env={
                key: value
                for key, value in {**plain, **words, **(environ or {})}.items()
                if value or key not in ("COLUMNS", "LINES")
            },
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)

    def __enter__(self) -> "PtyScreen":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(LIMIT_S)
        os.close(self._master)

    def resize(self, columns: int, lines: int) -> None:
        """As somebody who pulls at the window."""
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
        self.screen.resize(lines, columns)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def read(self, for_s: float) -> bytes:
        """What comes within this time."""
        end_s, before = time.monotonic() + for_s, len(self.sent)
        while (left_s := end_s - time.monotonic()) > 0 and self._take(left_s):
            pass
        return bytes(self.sent[before:])

    def wait(self, wanted: str | Callable[["PtyScreen"], object], limit_s: float = LIMIT_S) -> None:
        """Until the screen has this text, or `wanted` is true. Fails with what it shows."""
        end_s = time.monotonic() + limit_s
        while not (wanted in self.text if isinstance(wanted, str) else wanted(self)):
            open_ = self._take(0.1)
            shown = f"{wanted!r} is not on the screen:\n{self.text}"
            assert time.monotonic() < end_s, shown
            if not open_:
                assert (wanted in self.text) if isinstance(wanted, str) else wanted(self), shown
                return

    def end(self, limit_s: float = LIMIT_S) -> int:
        """Read on until the command has ended; its exit code."""
        end_s = time.monotonic() + limit_s
        while self._take(0.1):
            assert time.monotonic() < end_s, f"it does not end:\n{self.text}"
        return self._process.wait(limit_s)

    def interrupt(self) -> None:
        """SIGINT, as `kill -INT` has it."""
        self._process.send_signal(signal.SIGINT)

    @property
    def rows(self) -> list[str]:
        """Without blanks at their ends."""
        return [row.rstrip() for row in self.screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.rows).rstrip()

    def _take(self, for_s: float) -> bool:
        """Whether the line is still open."""
        if not select.select([self._master], [], [], max(0.0, for_s))[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # nobody is at the other end any more
            return False
        self.sent += data
        self._stream.feed(data)
        return bool(data)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
