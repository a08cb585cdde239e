"""The rig's hand inside the guest: pulls simulated lines, carries I2C transfers to the rig, starts
and kills the box, sets the clock. Nothing of the box knows of it.

It speaks over a virtio port, a line of JSON each. A question `{"n": 7, "do": "start", ...}` gets
`{"n": 7, "is": ...}`, or `{"n": 7, "error": "..."}`; `{"pull": [line, high, moment, lane]}` gets
nothing: the line is pulled at that moment of the guest's monotonic clock, with 0 at once. A
transfer goes up as `{"i2c": base64}`, and its answer comes down the same way.
"""

import base64
import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from edge.control.protocol import VerbError, ask_daemon
from edge.rig.guest.netem import dropped, set_loss
from edge.rig.guest.pulled import PullPlan
from edge.rig.guest.simlines import SimLines

PORT: Final = "/dev/virtio-ports/rig"
DISK: Final = "/dev/vdb"
HOME: Final = Path("/var/lib/rig")
RUN: Final = Path("/run/rig")
BALLAST: Final = HOME / "ballast"
I2C: Final = "/dev/kerbstone-i2c"
LONGEST: Final = 8 + 42 * 8200
ASK_S: Final = 2.0
END_S: Final = 20.0
TAIL: Final = 4000
PRIORITY: Final = 50  # of FIFO: wires do not wait for the box
ADJ_STATUS, ADJ_MAXERROR, ADJ_ESTERROR, STA_PLL = 0x10, 0x04, 0x08, 0x01
Question = Mapping[str, Any]


class Hand:
    """`serve` until the machine ends. `net` is the name of its network card."""

    def __init__(self, net: str) -> None:
        self._port = os.open(PORT, os.O_RDWR)
        self._saying = threading.Lock()
        self._net = net
        self._lines: SimLines | None = None
        self._plan = PullPlan()
        self._i2c = -1
        self._box: subprocess.Popen[bytes] | None = None
        self._log = RUN / "box.log"
        self._does: dict[str, Callable[[Question], Any]] = {
            "places": self.places, "mount": self.mount, "clock": self.clock,
            "used": self.used, "write": self.write, "start": self.start, "kill": self.kill,
            "stop": self.stop, "hold": self.hold, "state": self.state, "ask": self.ask,
            "set_wall": self.set_wall, "fill": self.fill, "free": self.free,
            "lose": self.lose, "dropped": self.dropped, "port": self.port,
        }  # fmt: skip

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
        self.say(ready=True)
        rest = b""
        while True:
            watched = [self._port] + ([self._i2c] if self._i2c >= 0 else [])
            ready = select.select(watched, [], [], self._pull())[0]
            if self._i2c in ready:
                with contextlib.suppress(OSError):
                    self.say(i2c=base64.b64encode(os.read(self._i2c, LONGEST)).decode())
            if self._port not in ready:
                continue
            *lines, rest = (rest + os.read(self._port, 65536)).split(b"\n")
            for line in lines:
                self._hear(json.loads(line))

    def say(self, **what: Any) -> None:
        data = json.dumps(what).encode() + b"\n"
        with self._saying:
            while data:
                data = data[os.write(self._port, data) :]

    def _hear(self, said: dict[str, Any]) -> None:
        if "pull" in said:
            if self._lines is not None:
                line, high, moment_ns, lane = said["pull"]
                if moment_ns:
                    self._plan.take(lane, line, high, moment_ns)
                else:
                    self._lines.pull(line, high)
        elif "i2c" in said:
            with contextlib.suppress(OSError):  # too late: the kernel has given it up
                os.write(self._i2c, base64.b64decode(said["i2c"]))
        elif said["do"] == "clock":
            self._answer(said)
        else:  # wires do not wait for it
            threading.Thread(target=self._answer, args=(said,), daemon=True).start()

    def _pull(self) -> float | None:
        """Pull all lines whose time has come; how many seconds there are to the next one."""
        while (found := self._plan.pull(time.monotonic_ns())) is not None:
            if self._lines is not None:
                self._lines.pull(*found)
        next_ns = self._plan.next_ns()
        return None if next_ns is None else max(0.0, (next_ns - time.monotonic_ns()) / 1e9)

    def _answer(self, said: dict[str, Any]) -> None:
        try:
            self.say(n=said["n"], **{"is": self._does[said["do"]](said)})
        except (OSError, ValueError, KeyError, subprocess.SubprocessError, VerbError) as error:
            self.say(n=said["n"], error=f"{type(error).__name__}: {error}")

    # questions

    def places(self, asked: Question) -> dict[str, str]:
        """Make the lines, and open the far end of the bus; where the box finds them."""
        self._lines = SimLines(asked["lines"])
        self._i2c = os.open(I2C, os.O_RDWR | os.O_NONBLOCK)
        return {"chip": self._lines.path, "i2c": _adapter("kerbstone test bus")}

    def port(self, asked: Question) -> str:
        """Where the serial adapter with this number is; "" while it is not there."""
        found = sorted(Path("/dev/serial/by-id").glob(f"*{asked['serial']}*"))
        return str(found[0]) if found else ""

    def mount(self, asked: Question) -> dict[str, Any]:
        """Check the disk as a boot does, and mount it."""
        checked = subprocess.run(
            ["e2fsck", "-p", DISK], capture_output=True, text=True, check=False
        )
        HOME.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "ext4", DISK, str(HOME)], check=True, capture_output=True)
        for folder in (HOME / "store", RUN / "run"):
            folder.mkdir(parents=True, exist_ok=True)
        return {"fsck": checked.returncode, "said": checked.stdout[-500:]}

    def clock(self, asked: Question) -> tuple[int, int]:
        """What it says, and by how much a line was pulled too late at most; ns."""
        return time.monotonic_ns(), self._plan.worst_ns

    def used(self, asked: Question) -> bool:
        """Whether somebody has each of these lines."""
        return self._lines is not None and all(self._lines.used(name) for name in asked["lines"])

    def write(self, asked: Question) -> bool:
        Path(asked["file"]).write_text(asked["text"], encoding="utf-8")
        return True

    def start(self, asked: Question) -> int:
        with self._log.open("ab") as log:
            self._box = subprocess.Popen(
                [sys.executable, *asked["command"]], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True,
                preexec_fn=lambda: os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0)),
            )  # fmt: skip
        return self._box.pid

    def kill(self, asked: Question) -> int:
        box, self._box = self._box, None
        if box is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            os.killpg(box.pid, signal.SIGKILL)
        box.wait(END_S)
        return box.pid

    def stop(self, asked: Question) -> int | None:
        if self._box is None:
            return None
        self._box.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._box.wait(END_S)
        return self._box.poll()

    def hold(self, asked: Question) -> bool:
        if self._box is not None:
            os.killpg(self._box.pid, signal.SIGSTOP if asked["on"] else signal.SIGCONT)
        return True

    def state(self, asked: Question) -> dict[str, Any]:
        """Of the box: its process, the letter that the kernel gives it, its exit code, its log."""
        box = self._box
        letter = ""
        if box is not None and box.poll() is None:
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{box.pid}/stat").read_text(errors="replace")
                letter = text.rpartition(")")[2].split()[0]
        log = self._log.read_bytes()[-TAIL:] if self._log.exists() else b""
        return {
            "pid": 0 if box is None else box.pid,
            "letter": letter,
            "code": None if box is None else box.poll(),
            "log": log.decode("utf-8", "replace"),
        }

    def ask(self, asked: Question) -> Any:
        """What the daemon answers to a verb."""
        return ask_daemon(RUN / "run", asked["verb"], ASK_S)

    def set_wall(self, asked: Question) -> float:
        """The wall clock: to a time, or by so many seconds; and whether it counts as synchronised.
        Gives what it says now."""
        now_s = (
            asked["to_s"]
            if "to_s" in asked
            else time.clock_gettime(time.CLOCK_REALTIME) + asked["by_s"]
        )
        time.clock_settime(time.CLOCK_REALTIME, now_s)
        if asked.get("synchronised"):
            _synchronised()
        return time.clock_gettime(time.CLOCK_REALTIME)

    def fill(self, asked: Question) -> int:
        """Take all room of the disk; gives what is left."""
        with BALLAST.open("ab", buffering=0) as file:
            for piece in (1 << 20, 4096, 512):
                try:
                    while file.write(bytes(piece)) == piece:
                        pass
                except OSError:
                    continue
        return shutil.disk_usage(HOME).free

    def free(self, asked: Question) -> int:
        BALLAST.unlink(missing_ok=True)
        return shutil.disk_usage(HOME).free

    def lose(self, asked: Question) -> bool:
        """From now on this share of the packets that leave."""
        set_loss(self._net, asked["share"])
        return True

    def dropped(self, asked: Question) -> int:
        """How many packets were lost by that, by the kernel's own count."""
        return dropped(self._net)


def _adapter(name: str) -> str:
    """The path of the bus whose adapter is called so. Raises FileNotFoundError."""
    for folder in sorted(Path("/sys/class/i2c-dev").iterdir()):
        if (folder / "name").read_text().strip() == name:
            return f"/dev/{folder.name}"
    raise FileNotFoundError(f"no I2C adapter is called {name}")


def _synchronised() -> None:
    """Let the kernel say what a time service would: the wall clock is right."""
    words = (ctypes.c_long * 26)()  # struct timex: modes, offset, freq, maxerror, esterror, status
    fields = ctypes.cast(words, ctypes.POINTER(ctypes.c_int))
    fields[0] = ADJ_STATUS | ADJ_MAXERROR | ADJ_ESTERROR
    words[3] = words[4] = 1000
    fields[10] = STA_PLL
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(words)) < 0:
        raise OSError(ctypes.get_errno(), "adjtimex")


if __name__ == "__main__":
    Hand(sys.argv[1]).serve()
