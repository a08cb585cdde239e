"""The box of the layer `sim`: the daemon in a thread, with its folders; ended, killed, begun anew.

A thread cannot be killed. So what the disk and tmpfs hold is copied at the moment of the kill, its
connections are cut, and what the daemon does afterwards happens aside: no wire, no broker and no
clock notices, and its folders are put back as they were at the kill.
"""

import asyncio
import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from edge.acquire.clock import SystemClock
from edge.config import Site
from edge.gateway.daemon import Daemon
from edge.rig.simmachine import SYNCED
from edge.rig.virtualtime import VirtualTime

RESTART_S: Final = 2.0  # RestartSec of systemd/kerbstone.service
END_NS: Final = 60_000_000_000  # more than a stop takes
GROUP: Final = "box"  # its threads
FOLDERS: Final = ("store", "run")


class SimBox:
    """Runs between `start` and `stop`. `folder` has `store` and `run`, as the site says."""

    def __init__(self, world: VirtualTime, site: Site, folder: Path, machine: Path) -> None:
        self._world, self._site, self._folder, self._machine = world, site, folder, machine
        self._thread: threading.Thread | None = None
        self._daemon: Daemon | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.over = False  # it has ended, whoever asked for it
        self.error: BaseException | None = None
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)

    def start(self, after_s: float = 0.0) -> None:
        self.over, self.error = False, None
        self._thread = threading.Thread(target=self._live, args=(after_s,), name="daemon")
        with self._world.grouped(GROUP):
            self._thread.start()

    def stop(self) -> None:
        """As systemd stops it. Always safe."""
        if self._thread is not None and not self.over:
            self._ask_to_end()
            self._world.run_until(self._world.now_ns + END_NS, lambda: self.over)
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def kill(self, cut: Callable[[], None]) -> None:
        """Nothing more of it reaches anybody; `cut` ends its connections. It starts again as
        systemd starts it."""
        kept, world = self._folder / "killed", self._world
        for name in FOLDERS:
            shutil.copytree(self._folder / name, kept / name, ignore=_sockets)
        with self.still():  # it does not see how its connections end
            cut()
            world.run_until(world.now_ns)
        with world.aside(GROUP):
            self.stop()
        for name in FOLDERS:
            shutil.rmtree(self._folder / name)
            (kept / name).rename(self._folder / name)
        self.start(RESTART_S)

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """It does not go on meanwhile, as a process that is stopped (SIGSTOP)."""
        self._world.still.add(GROUP)
        try:
            yield
        finally:
            self._world.still.discard(GROUP)

    @property
    def is_ready(self) -> bool:
        """It is connected, has asked each device, and watches each line."""
        daemon = self._daemon
        if daemon is None or daemon.gateway is None or not daemon.gateway.connected:
            return False
        gateway = daemon.gateway
        asked = all(device.reads or device.errors for device in gateway.buses.devices())
        return asked and not any(name.startswith("line ") for name in gateway.failing())

    def _ask_to_end(self) -> None:
        loop, daemon = self._loop, self._daemon
        if loop is not None and daemon is not None:
            loop.call_soon_threadsafe(daemon.stop)

    def _live(self, after_s: float) -> None:
        try:
            self._world.sleep(after_s)
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001  why it is not there any more: the layer says it
            self.error = error
        finally:
            self.over, self._daemon, self._loop = True, None, None

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        clock = SystemClock(root=self._machine, kernel=lambda: SYNCED)
        self._daemon = Daemon(self._site, clock)
        await self._daemon.run()


def _sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder, name).is_socket()]
