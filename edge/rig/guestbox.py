"""The box under test as a process in a guest, and the guest's disk: what `BoxFaults` needs of both.

The same words as `edge.rig.boxprocess.BoxProcess`; a power cut takes the whole machine, and what
its disk's cache holds. It boots again from the same disk.
"""

import contextlib
import random
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from edge.acquire.clock import SystemClock
from edge.rig.guestmachine import GuestError, GuestMachine
from edge.rig.layer import LayerError
from edge.rig.nbdserver import NbdServer
from edge.rig.volatiledisk import DISKS, DiskManner, VolatileDisk

DISK_MB: Final = 64
QUICK_S: Final = 5.0
LOOK_S: Final = 1.0  # a question costs the guest, which has a fraction of a core
END_S: Final = 40.0
TAIL_LINES: Final = 8
Boot = Callable[[], GuestMachine]
"""A machine whose power is there, wired, its disk mounted, the site file in it."""


class GuestDisk:
    """The second disk of the guest. `small`: it can be full, here always."""

    small = True

    def __init__(self, folder: Path, seed: int) -> None:
        """Raises LayerError."""
        image = folder / "disk.img"
        self._image = image
        try:
            subprocess.run(
                ["mke2fs", "-q", "-F", "-t", "ext4", str(image), f"{DISK_MB}M"],
                check=True, capture_output=True,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise LayerError(f"no disk for the guest: {error}: `apt-get install e2fsprogs`") from (
                error
            )
        self.disk = VolatileDisk(
            bytearray(image.read_bytes()), DISKS["honest"], random.Random(f"{seed}/disk")
        )
        self._server = NbdServer(folder / "disk.sock", self.disk)
        self._machine: GuestMachine | None = None
        self._free = 0

    @property
    def socket(self) -> Path:
        return self._server.path

    def start(self) -> None:
        self._server.start()

    def attach(self, machine: GuestMachine) -> None:
        """In which machine it is."""
        self._machine = machine

    def fill(self) -> None:
        with contextlib.suppress(GuestError):  # it is being switched off
            self._free = self._ask("fill")

    def free(self) -> None:
        with contextlib.suppress(GuestError):
            self._free = self._ask("free")

    def free_bytes(self) -> int:
        """What is left, as of the last time that somebody filled it."""
        return self._free

    def slow(self, flush_s: float) -> None:
        """Each flush takes so long, 0: as long as it takes."""
        self.disk.manner = DiskManner(flush_s=(flush_s, flush_s))

    def flushes(self) -> int:
        """How many there were."""
        return self.disk.flushes

    def freeze(self) -> None:
        """The power is about to go."""
        self._server.freeze()

    def cut(self) -> str:
        """The power has gone; what was lost, for people."""
        cut = self.disk.cut()
        self._server.thaw()
        return (f"of {cut.writes} writes in the cache of its disk {cut.kept} sectors were kept, "
                f"{cut.lost} lost")  # fmt: skip

    def stop(self) -> None:
        """Always safe."""
        self._server.stop()

    def _ask(self, do: str) -> int:
        if self._machine is None:
            raise GuestError("there is no machine")
        return int(self._machine.ask(do))


class GuestNet:
    """The network of the guest that a box is in."""

    def __init__(self, box: "GuestBox") -> None:
        self._box = box

    def lose(self, share: float) -> None:
        self._box.machine.ask("lose", share=share)

    def dropped(self) -> int:
        machine = self._box.machine
        try:
            return int(machine.ask("dropped"))
        except GuestError:
            if machine.alive:
                raise
            return 0  # it is being switched off


class GuestBox:
    """`command` is what Python runs in the guest. `boot` after a power cut."""

    def __init__(
        self, machine: GuestMachine, command: Sequence[str], disk: GuestDisk, boot: Boot
    ) -> None:
        self.machine, self._command, self._disk, self._boot = machine, [*command], disk, boot
        self.pid = 0
        self._wall_s = self._look_s = 0.0
        self._held = False
        self._off = False
        self._trouble = ""
        self._booting: threading.Thread | None = None

    def start(self) -> None:
        """Also after a power cut: then it is booted first, and this does not wait for it."""
        if self._off:
            self._off = False
            self._booting = threading.Thread(target=self._power_on, name="rig-boot", daemon=True)
            self._booting.start()
            return
        self.pid = int(self.machine.ask("start", command=self._command))

    def kill(self) -> int:
        """-9, with all that it has started; gives who that was."""
        pid, self.pid = self.pid, 0
        self.machine.ask("kill")
        self._held = False
        return pid

    def cut_power(self) -> Iterator[str]:
        """The machine is gone, and what was only in its memory; what is seen of it."""
        self._disk.freeze()
        self.machine.kill()
        self.pid, self._off, self._held = 0, True, False
        yield "the machine was switched off, and all that its memory held is lost"
        yield self._disk.cut()

    def hold(self) -> None:
        self.machine.ask("hold", on=True)
        self._held = True

    def go_on(self) -> None:
        if self._held:
            self._held = False
            self.machine.ask("hold", on=False)

    def stands_still(self) -> bool:
        """Whether the guest's kernel says so."""
        return bool(self._state().get("letter") == "T")

    def set_wall(self, by_s: float) -> float:
        """Set the wall clock of the guest; gives how far it stands beside that of this machine."""
        said_s = float(self.machine.ask("set_wall", by_s=by_s))
        self._wall_s = said_s - SystemClock().now().wall_ns / 1e9
        return self._wall_s

    def ended(self) -> str:
        """Why it is not there any more, "" while it is, or is off, or boots."""
        if self._trouble:
            return self._trouble
        if self._off or (self._booting is not None and self._booting.is_alive()):
            return ""
        if not self.machine.alive:
            return "the guest has ended by itself"
        if not self.pid:
            return ""
        now_s = SystemClock().now().mono_ns / 1e9
        if now_s < self._look_s:
            return ""
        self._look_s = now_s + LOOK_S
        code = self._state().get("code")
        if code is None:
            return ""
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return f"the box has ended {how}; the end of its log: {self.tail()}"

    def tail(self) -> str:
        """The end of what it has said, in one line."""
        lines = str(self._state().get("log", "")).split("\n")
        return " / ".join(lines[-TAIL_LINES:]).strip(" /")

    def log(self) -> str:
        return str(self._state().get("log", ""))

    def close(self) -> None:
        """SIGTERM, as systemd ends it, then the machine. Always safe."""
        if self._booting is not None:
            self._booting.join(END_S)
        with contextlib.suppress(GuestError):
            self.go_on()
            self.machine.ask("stop", END_S)
        self.machine.close()

    def _state(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self.machine.ask("state", QUICK_S)
        except GuestError:
            return {}
        return found

    def _power_on(self) -> None:
        try:
            self.machine.close()
            self.machine = self._boot()
            self.start()
        except (LayerError, OSError) as error:
            self._trouble = f"the box does not boot after its power was cut: {error}"
