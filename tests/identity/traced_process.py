"""A real `python -m edge.identity`, traced where it is to die or to be spared its waiting."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
STRACE: Final = shutil.which("strace") or "/usr/bin/strace"
CHANGES: Final = (
    "openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat", "renameat2",
    "symlink", "symlinkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "ftruncate",
    "link", "linkat",
)  # fmt: skip
TALKS: Final = (
    "socket", "connect", "sendto", "sendmsg", "recvfrom", "recvmsg", "read", "write", "shutdown",
)  # fmt: skip
CALLS: Final = ",".join(dict.fromkeys(CHANGES + TALKS))
SOCKET: Final = re.compile(r"<(?:socket|TCP|TCPv6|UDP|UDPv6|UNIX[^:]*|NETLINK[^:]*):")
LINE: Final = re.compile(r"(\w+)\((.*)")
# the kernel stops it at the traced calls alone, not at all those that an import makes; of such a
# stop no signal comes
QUICK: Final = ("-f", "--seccomp-bpf")
# no minute of waiting is waited; and the kernel says that nobody vouches for its clock
AWAKE: Final = "clock_nanosleep"
CLOCK: Final = "adjtimex,clock_adjtime"
UNKNOWN: Final = 5  # TIME_ERROR


class TracedEnd(NamedTuple):
    """How the process ended, and what it said."""

    code: int
    out: str
    said: str


class Boundary(NamedTuple):
    """The `number`-th call of this name in the life of the process."""

    call: str
    number: int


def plain(root: Path) -> list[str]:
    return ["--state", str(root / "state"), "--boot", str(root / "boot")]


def start(
    words: Sequence[str], trace: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> TracedEnd:
    """`python -m edge.identity WORDS` to its end; with `trace` under strace."""
    with begin(words, trace, env) as process:
        try:
            out, said = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.terminate()  # strace ends what it traces
            raise
    return TracedEnd(process.returncode, out, said)


def begin(
    words: Sequence[str], trace: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    tracer = [STRACE, *(word for each in trace for word in each.split(" ", 1))] if trace else []
    shown = [f"{key}={value}" for key, value in (env or {}).items()]  # to it, not to its tracer
    return subprocess.Popen(
        [*tracer, "env", *shown, sys.executable, "-m", "edge.identity", *words],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # always the same calls: nothing is compiled, nothing has another order
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


def awake(
    root: Path, verb: str, *more: str, env: Mapping[str, str] | None = None, clock: int = UNKNOWN
) -> TracedEnd:
    """To its end, without the waiting. `clock`: what the kernel says of it; 0 is synchronised."""
    return start([verb, *plain(root), *more], [*QUICK, "-o /dev/null", *_trace("", clock)], env)


def _trace(calls: str, clock: int = UNKNOWN) -> list[str]:
    return [
        f"-e trace={AWAKE},{CLOCK},{calls}".rstrip(","),
        f"-e inject={AWAKE}:retval=0",
        f"-e inject={CLOCK}:retval={clock}",
    ]


def boundaries(root: Path, verb: str, *more: str) -> tuple[list[Boundary], TracedEnd]:
    """Run it to its end: each call that changes one of its files, or talks to somebody."""
    log = root.with_name(root.name + ".calls")
    ended = start([verb, *plain(root), *more], ["-y", f"-o {log}", *_trace(CALLS)])
    counted: Counter[str] = Counter()
    found = []
    for line in log.read_text(errors="replace").splitlines():
        if (call := LINE.match(line)) is None:
            continue
        counted[call[1]] += 1
        if _matters(call[1], call[2], str(root)):
            found.append(Boundary(call[1], counted[call[1]]))
    log.unlink()
    return found, ended


def _matters(call: str, text: str, root: str) -> bool:
    if call in TALKS and SOCKET.search(text):
        return True
    writes = call != "openat" or "O_WRONLY" in text or "O_CREAT" in text
    return call in CHANGES and root in text and writes


def killed(root: Path, at: Boundary, verb: str, *more: str) -> bool:
    """SIGKILL at the entry of that call, which is not done. False: it had ended before."""
    kill = f"-e inject={at.call}:signal=KILL:when={at.number}"
    trace = ["-o /dev/null", *_trace(at.call), kill]
    return start([verb, *plain(root), *more], trace).code == -9
