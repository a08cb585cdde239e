"""The box under test as a child process: started, killed, held, and told from one that ends by
itself.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final, Protocol

from edge.durable.atomicwrite import replace_file
from edge.rig.layer import LayerError, NotHereError

KERBSTONE: Final = (sys.executable, "-m", "edge.cli.main", "run", "{site}")
BOX_COMMAND_WORDS: Final = ("broker", "ca", "python", "site")
"""What may stand in braces in the command of a box."""
END_S: Final = 20.0
TAIL: Final = 2000  # bytes of its log that a failure shows
FAKETIME: Final = ("/usr/lib", "*/faketime/libfaketimeMT.so.1")
WALL: Final = "wall"


def faketime() -> Path | None:
    """The library that shows a process another wall clock; None where it is not installed."""
    folder, pattern = FAKETIME
    return next(iter(sorted(Path(folder).glob(pattern))), None)


def ends_with_us(command: Sequence[str]) -> list[str]:
    """The same command, in a process that is killed when the thread that has started it ends: of a
    rig that is killed nothing goes on, where util-linux is installed."""
    setpriv = shutil.which("setpriv")
    return [*([setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []), *command]


class BoxUnderTest(Protocol):
    """A process that the rig has started, wherever it runs. `pid` is 0 while there is none."""

    @property
    def pid(self) -> int: ...
    def start(self) -> None: ...
    def kill(self) -> int: ...
    def hold(self) -> None: ...
    def go_on(self) -> None: ...
    def stands_still(self) -> bool: ...
    def set_wall(self, by_s: float) -> float: ...
    def ended(self) -> str: ...
    def tail(self) -> str: ...
    def close(self) -> None: ...


class BoxProcess:
    """A command with `{site}` and `{broker}` in it, in a folder of its own; its output is its log.
    `{python}` is the interpreter of the rig.

    With `has_wall` its wall clock can be set (`set_wall`), while monotonic time stays real.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, words: Mapping[str, str], *, has_wall: bool
    ) -> None:
        words = {**words, "python": sys.executable}
        self.command = [_filled(part, words) for part in command]
        self.log = folder / "box.log"
        self._folder, self._has_wall = folder, has_wall
        self._process: subprocess.Popen[bytes] | None = None
        self._out: IO[bytes] | None = None
        self._held = False
        self._wall_s = 0.0

    @property
    def pid(self) -> int:
        """Of the one that runs, 0 for none."""
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """Raises LayerError for a command that is not there."""
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        if self._has_wall:
            environment |= self._wall()
        if self._out is None:
            self._out = self.log.open("ab")
        if shutil.which(self.command[0]) is None:
            raise LayerError(f"the box cannot be started: there is no {self.command[0]}")
        try:
            self._process = subprocess.Popen(
                ends_with_us(self.command), stdin=subprocess.DEVNULL, stdout=self._out,
                stderr=self._out, env=environment, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise LayerError(f"the box cannot be started: {self.command[0]}: {error}") from error

    def kill(self) -> int:
        """-9, with all that it has started; gives who that was."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(END_S)
        self._held = False
        return process.pid

    def hold(self) -> None:
        """It stands still until `go_on`."""
        self._signal(signal.SIGSTOP)
        self._held = True

    def go_on(self) -> None:
        if self._held:
            self._held = False
            self._signal(signal.SIGCONT)

    def stands_still(self) -> bool:
        """Whether the kernel says so."""
        try:
            text = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        return text.rpartition(")")[2].split()[0] == "T"

    def set_wall(self, by_s: float) -> float:
        """Set its wall clock forward, or with - backward; gives how far beside it stands now."""
        self._wall_s += by_s
        text = f"{self._wall_s:+.6f}\n"
        replace_file(self._folder / WALL, text.encode("ascii"), sync=False)
        return self._wall_s

    def ended(self) -> str:
        """Why it is not there any more, "" while it is."""
        process = self._process
        if process is None or process.poll() is None:
            return ""
        code = process.returncode
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return f"the box has ended {how}; the end of its log ({self.log}): {self.tail()}"

    def tail(self) -> str:
        """The end of what it has said, in one line."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - TAIL))
                data = file.read(TAIL)
        except OSError:
            return ""
        return " / ".join(data.decode("utf-8", "replace").split("\n")[-8:]).strip(" /")

    def close(self) -> None:
        """SIGTERM, as systemd ends it, and -9 for one that does not. Always safe."""
        process = self._process
        if process is not None:
            self.go_on()
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
            self.kill()
        if self._out is not None:
            self._out.close()
            self._out = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _wall(self) -> dict[str, str]:
        library = faketime()
        if library is None:
            raise NotHereError("the clock of the box cannot be set: `apt-get install libfaketime`")
        self.set_wall(0.0)
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._folder / WALL),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


def _filled(part: str, words: Mapping[str, str]) -> str:
    for word, text in words.items():
        part = part.replace(f"{{{word}}}", text)
    return part
