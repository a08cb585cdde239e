"""A control group with a limit of memory, as systemd makes one for a unit. Version 1 or 2.

group = MemoryGroup()  # needs root
subprocess.Popen([*group.command, "program"])
group.limit(group.used + (40 << 20))
assert group.kills == 1  # by the kernel's own word
group.close()
"""

import os
import secrets
from pathlib import Path
from typing import Final

V1: Final = Path("/sys/fs/cgroup/memory")
V2: Final = Path("/sys/fs/cgroup")


class NoGroupError(Exception):
    """None can be made here; the text says why."""


class MemoryGroup:
    """Made at once. Raises NoGroupError."""

    def __init__(self) -> None:
        self._v1 = V1.is_dir()
        self._place = (V1 if self._v1 else V2) / f"kerbstone-{os.getpid()}-{secrets.token_hex(3)}"
        try:
            self._place.mkdir()
        except OSError as error:
            raise NoGroupError(f"no group of processes may be made here: {error}") from error
        if not self._limit.exists():
            self.close()
            raise NoGroupError("the groups of processes here do not limit memory")

    @property
    def _limit(self) -> Path:
        return self._place / ("memory.limit_in_bytes" if self._v1 else "memory.max")

    @property
    def command(self) -> tuple[str, ...]:
        """Before a program and its arguments: it becomes that program, and is in the group."""
        return ("sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self._place / "cgroup.procs"))

    def add(self, pid: int) -> None:
        """What it takes from now on counts."""
        (self._place / "cgroup.procs").write_text(str(pid))

    def limit(self, size: int) -> None:
        """Bytes."""
        self._limit.write_text(str(size))

    @property
    def used(self) -> int:
        """Bytes."""
        name = "memory.usage_in_bytes" if self._v1 else "memory.current"
        return int((self._place / name).read_text())

    @property
    def kills(self) -> int:
        """How many processes of it the kernel has killed for want of memory."""
        name = "memory.oom_control" if self._v1 else "memory.events"
        words = (line.split() for line in (self._place / name).read_text().splitlines())
        return next(int(count) for word, count in words if word == "oom_kill")

    def close(self) -> None:
        """Its processes have ended."""
        self._place.rmdir()
