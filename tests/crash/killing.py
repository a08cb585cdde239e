"""Kill a scene at each of its system calls: strace counts them, then injects SIGKILL at one."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.crash.scenes import FAR

ROOT: Final = Path(__file__).parents[2]
STRACE: Final = shutil.which("strace") or "/usr/bin/strace"
CALLS: Final = (
    "pwrite64,write,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,ftruncate,truncate,"
    "fallocate,openat,close,mkdir,rmdir,link,linkat"
)


class Stage:
    """A process that has everything loaded, and forks a child for each performance."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.scenes"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def count(self, scene: str, folder: Path) -> Counter[str]:
        """How often it calls what: one performance to the end."""
        log = folder / "calls"
        self._play(scene, folder, "-o", str(log), "-e", f"trace={CALLS}")
        lines = log.read_text().splitlines()
        log.unlink()
        return Counter(
            found[1] for line in lines if (found := re.match(r"(?:\d+ +)?(\w+)\(", line))
        )

    def kill(self, scene: str, folder: Path, call: str, number: int) -> int:
        """Dead before that call is done: how many commits had returned."""
        inject = f"inject={call}:signal=KILL:when={number}"
        self._play(scene, folder, "-o", "/dev/null", "-e", f"trace={call}", "-e", inject)
        return (folder / FAR).read_bytes()[0]

    def _play(self, scene: str, folder: Path, *options: str) -> None:
        (folder / FAR).write_bytes(b"\0")
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{scene}\t{folder}\n")
        self._process.stdin.flush()
        child = int(self._process.stdout.readline())
        while (status := Path(f"/proc/{child}/stat").read_text().rsplit(") ")[-1])[0] != "T":
            assert status[0] not in "XZ", "it ended before it was traced"
            time.sleep(0.001)
        with subprocess.Popen(
            [STRACE, "-p", str(child), *options], stderr=subprocess.PIPE, text=True
        ) as strace:
            assert strace.stderr is not None
            said = strace.stderr.readline()
            try:
                assert "attached" in said, f"strace cannot trace here: {said}"
            finally:
                os.kill(child, signal.SIGCONT)
            strace.communicate(timeout=60)
