"""A guest of the layer `qemu`: QEMU with its disk, its USB adapters, and the rig's hand in it.

    machine = GuestMachine(parts, folder, disk_socket, {"meters": "/dev/pts/7"}, transfer)
    machine.ask("start", command=[...])

One virtual processor, without hardware acceleration. Its wires are real for whoever is in it: GPIO
lines of the kernel's gpio-sim, an I2C adapter, USB-serial adapters that can be pulled out.
"""

import base64
import contextlib
import itertools
import json
import queue
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edge.rig.boxprocess import ends_with_us
from edge.rig.guestparts import GuestParts
from edge.rig.initrd import initrd
from edge.rig.layer import LayerError
from edge.rig.qmp import Qmp, QmpError

PROGRAM: Final = Path(__file__).parents[2]
"""What has `edge` and `drivers` in it: a checkout, or the packages of an installation."""
FIRST: Final = Path(__file__).parent / "guest/first"
QEMU: Final = "qemu-system-x86_64"
INSTALL: Final = f"{QEMU} is not installed: `apt-get install qemu-system-x86`"
BOOT_S: Final = 300.0  # some 12 s on an idle machine
ASK_S: Final = 60.0
CONNECT_S: Final = 30.0
PLUG_S: Final = 20.0
END_S: Final = 30.0
TAIL: Final = 1500
LONGEST_LINE: Final = 1 << 20  # of what its hand says
MOST_TRANSFERS: Final = 1000
MEMORY_MB: Final = 512
QUIET: Final = "quiet loglevel=4 mitigations=off no_timer_check random.trust_cpu=on panic=-1"
Transfer = Callable[[bytes], bytes]
"""What the guest's I2C adapter wants to know, and its answer: `kerbstone_i2c` has the form."""


class GuestError(LayerError):
    """The hand in the guest could not do it, or does not answer. The text says what."""


class GuestMachine:
    """Runs when built. `ports`: bus -> the pseudo-terminal at the far end of its USB adapter, which
    is plugged in at once; "": one that is not. `disk` is the socket of its second disk.

    Raises LayerError.
    """

    def __init__(
        self, parts: GuestParts, folder: Path, disk: Path, ports: Mapping[str, str],
        transfer: Transfer,
    ) -> None:  # fmt: skip
        if shutil.which(QEMU) is None:
            raise LayerError(INSTALL)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._transfer = folder, transfer
        self.serials = {bus: f"KERB{number:04}" for number, bus in enumerate(ports, 1)}
        self._numbers, self._saying = itertools.count(1), threading.Lock()
        self._waiting: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._ready, self._gone = threading.Event(), False
        self._transfers: queue.Queue[bytes | None] = queue.Queue(MOST_TRANSFERS)
        first = folder / "initrd.gz"
        first.write_bytes(initrd(parts.busybox, parts.first_modules, FIRST.read_bytes()))
        with (folder / "qemu.log").open("ab") as said:
            self._qemu = subprocess.Popen(
                ends_with_us(_command(parts, folder, first, disk, ports)),
                # a leader of a session would get the far end of an adapter as its terminal, and
                # a SIGHUP with its end
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, process_group=0,
            )  # fmt: skip
        self._line = socket.socket(socket.AF_UNIX)
        try:
            self._qmp = Qmp(folder / "qmp", CONNECT_S)
            self._line.connect(str(folder / "hand"))
            for work in (self._listen, self._carry):
                threading.Thread(target=work, name="rig-guest", daemon=True).start()
            for bus in filter(ports.get, ports):
                self.plug(bus)
            self._wait_until_it_is_up()
        except (OSError, QmpError) as error:
            self.close()
            raise LayerError(f"QEMU does not start: {error}: {self._tail('qemu.log')}") from error
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        return not self._gone and self._qemu.poll() is None

    def ask(self, do: str, timeout_s: float = ASK_S, **words: Any) -> Any:
        """What the hand in the guest answers. Raises GuestError."""
        number = next(self._numbers)
        answers = self._waiting[number] = queue.Queue(1)
        try:
            self._say({"n": number, "do": do, **words})
            found = answers.get(timeout=timeout_s)
        except queue.Empty:
            raise GuestError(f"the guest does not answer to {do!r} within {timeout_s:.0f} s") from (
                None
            )
        finally:
            self._waiting.pop(number, None)
        if "is" not in found:
            raise GuestError(f"{do}: {found.get('error')}")
        return found["is"]

    def pull(self, line: str, high: bool, moment_ns: int = 0, lane: str = "") -> None:
        """A level on one of its lines, at a moment of its monotonic clock; 0: at once. `lane` names
        all lines that belong together. After its end nothing happens."""
        with contextlib.suppress(GuestError):
            self._say({"pull": [line, high, moment_ns, lane]})

    def plug(self, bus: str, port: str = "") -> None:
        """Put the adapter of a bus in; `port`: its far end, after `unplug`. Raises QmpError."""
        if port:
            far = {"type": "serial", "data": {"device": port}}
            self._qmp("chardev-add", id=f"far-{bus}", backend=far)
        self._qmp(
            "device_add", driver="usb-serial", id=f"usb-{bus}", chardev=f"far-{bus}",
            serial=self.serials[bus], bus="xhci.0",
        )  # fmt: skip

    def unplug(self, bus: str) -> None:
        """Pull it out, and let go of its far end. Raises QmpError."""
        self._qmp("device_del", id=f"usb-{bus}")
        end = time.monotonic() + PLUG_S
        while True:
            try:
                self._qmp("chardev-remove", id=f"far-{bus}")
                return
            except QmpError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)  # it lets go of what was unplugged some time later

    def kill(self) -> None:
        """The power goes: no instruction more."""
        self._gone = True
        self._qemu.kill()
        self._qemu.wait(END_S)

    def close(self) -> None:
        """Nothing of it stays. Always safe."""
        self.kill()
        self._line.close()
        with contextlib.suppress(queue.Full):
            self._transfers.put_nowait(None)
        if hasattr(self, "_qmp"):
            self._qmp.close()

    # inside

    def _say(self, what: Mapping[str, Any]) -> None:
        try:
            with self._saying:
                self._line.sendall(json.dumps(what).encode() + b"\n")
        except OSError as error:
            raise GuestError(f"the guest is gone: {error}") from error

    def _listen(self) -> None:
        rest = b""
        # whatever else a guest says than its hand does: it is as good as gone
        with contextlib.suppress(OSError, ValueError, TypeError, LookupError, RecursionError):
            while piece := self._line.recv(65536):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self._hear(json.loads(line))
                if len(rest) > LONGEST_LINE:
                    raise ValueError("a line has no end")
        self._gone = True
        for waiting in [*self._waiting.values()]:
            with contextlib.suppress(queue.Full):
                waiting.put_nowait({"error": "the guest has ended"})

    def _hear(self, said: dict[str, Any]) -> None:
        if "i2c" in said:
            self._transfers.put(base64.b64decode(said["i2c"]))
        elif "ready" in said:
            self._ready.set()
        elif (waiting := self._waiting.get(said["n"])) is not None:
            with contextlib.suppress(queue.Full):  # it answers twice
                waiting.put_nowait(said)

    def _carry(self) -> None:
        """Transfers, one after the other as on a bus."""
        while (asked := self._transfers.get()) is not None:
            try:
                answer = self._transfer(asked)
            except (struct.error, ValueError):  # no transfer: it waits for the answer in vain
                continue
            with contextlib.suppress(GuestError):
                self._say({"i2c": base64.b64encode(answer).decode()})

    def _wait_until_it_is_up(self) -> None:
        end = time.monotonic() + BOOT_S
        while not self._ready.wait(0.1):
            if self._qemu.poll() is not None or time.monotonic() > end:
                raise LayerError(
                    f"the guest does not boot; its console: {self._tail('console')} "
                    f"{self._tail('qemu.log')}"
                )

    def _tail(self, name: str) -> str:
        file = self.folder / name
        text = file.read_text(errors="replace") if file.exists() else ""
        return text.partition("Kernel panic")[0][-TAIL:]  # what follows are addresses


def _command(
    parts: GuestParts, folder: Path, first: Path, disk: Path, ports: Mapping[str, str]
) -> Sequence[str]:
    share = "local,security_model=none,readonly=on"
    shares = {"program": PROGRAM, "packages": parts.packages, "modules": parts.modules}
    return [
        QEMU, "-accel", "tcg", "-M", "q35", "-cpu", "max", "-smp", "1", "-m", str(MEMORY_MB),
        "-nodefaults", "-display", "none", "-no-reboot", "-rtc", "base=utc,clock=host",
        "-kernel", str(parts.kernel), "-initrd", str(first),
        "-append", f"console=ttyS0 {QUIET}",
        "-drive", f"if=none,id=root,file={parts.root},format=raw,snapshot=on,file.locking=off",
        "-device", "virtio-blk-pci,drive=root",
        "-drive", f"if=none,id=data,file=nbd+unix:///?socket={disk},format=raw,cache=writeback",
        "-device", "virtio-blk-pci,drive=data,write-cache=on",
        *(word for name, path in shares.items()
          for word in ("-virtfs", f"{share},path={path.resolve()},mount_tag={name}")),
        "-serial", f"file:{folder}/console",
        "-device", "virtio-serial-pci",
        "-chardev", f"socket,id=hand,path={folder}/hand,server=on,wait=off",
        "-device", "virtserialport,chardev=hand,name=rig",
        "-device", "qemu-xhci,id=xhci",
        *(word for bus, path in ports.items() if path
          for word in ("-chardev", f"serial,id=far-{bus},path={path}")),
        "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net",
        "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
    ]  # fmt: skip
