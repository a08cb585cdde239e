"""What is taken from the machine that builds: its package sources, its tools, the commit's time."""

import calendar
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

COMPONENTS = "main non-free-firmware"
# tool -> Debian package
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "qemu-aarch64": "qemu-user qemu-user-binfmt",
    "mke2fs": "e2fsprogs",
    "sfdisk": "fdisk",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "xz": "xz-utils",
    "zstd": "zstd",
}


class BuildError(Exception):
    """The image cannot be built; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """One suite of Debian as the host's apt knows it."""

    uri: str
    suite: str
    key: str

    def line(self) -> str:
        signed = f" [signed-by={self.key}]" if self.key else ""
        return f"deb{signed} {self.uri} {self.suite} {COMPONENTS}"


def parse_sources(text: str) -> list[Source]:
    """The Debian suites in what `apt-get indextargets` prints, each once, the release first."""
    found: dict[tuple[str, str], Source] = {}
    for row in text.splitlines():
        uri, suite, origin, key = [*row.split("|"), "", "", ""][:4]
        if origin == "Debian" and "backports" not in suite:
            found.setdefault(
                (uri, suite), Source(uri.rstrip("/"), suite, key if "(" not in key else "")
            )
    return sorted(found.values(), key=lambda source: (len(source.suite), source.suite))


def sources() -> list[Source]:
    """The host's own sources: the image is made of what this machine would install."""
    form = "$(REPO_URI)|$(RELEASE)|$(ORIGIN)|$(SIGNED_BY)"
    rows = output(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    found = parse_sources(rows)
    if not found:
        raise BuildError("apt knows no Debian release: build on Debian 13, after `apt-get update`")
    return found


def parse_release_date(text: str) -> int:
    """The date of a Release file in seconds; 0 when it has none."""
    found = re.search(r"^Date: \w{3}, (\d+ \w{3} \d{4} \d\d:\d\d:\d\d)", text, re.MULTILINE)
    if not found:
        return 0
    return calendar.timegm(time.strptime(found.group(1), "%d %b %Y %H:%M:%S"))


def mirror_epoch(lists: Path = Path("/var/lib/apt/lists")) -> int:
    """When the newest of the host's package lists was made: no file of the root is younger."""
    dates = [
        parse_release_date(path.read_text("utf-8", "replace")) for path in lists.glob("*InRelease")
    ]
    if not max(dates, default=0):
        raise BuildError("no dated package list in /var/lib/apt/lists: run `apt-get update`")
    return max(dates)


def commit_epoch(top: Path) -> int:
    """SOURCE_DATE_EPOCH of the environment, or the time of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    return int(given or output(["git", "-C", str(top), "log", "-1", "--format=%ct"]))


def need_tools() -> None:
    """All tools, or one message that names what to install."""
    missing = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
    if missing:
        raise BuildError(f"tools are missing: apt-get install {' '.join(missing)}")
    handler = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
    if not handler.exists():
        raise BuildError(
            "this machine cannot run arm64 programs: install qemu-user-binfmt; without systemd\n"
            "  mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc\n"
            "  cat /usr/lib/binfmt.d/qemu-aarch64.conf > /proc/sys/fs/binfmt_misc/register"
        )
    if os.geteuid() != 0:
        raise BuildError("the root of Debian packages is made with chroot: run it as root")


def output(command: Sequence[str]) -> str:
    """What a command prints; its complaint as BuildError."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def run(command: Sequence[str], log: Path, env: dict[str, str] | None = None) -> None:
    """Run it into a log, with a sign of life each half minute."""
    began = time.monotonic()
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env={**os.environ, **(env or {})},
        )
        while True:
            try:
                code = process.wait(30)
                break
            except subprocess.TimeoutExpired:
                report(f"  {command[0]}: {time.monotonic() - began:.0f} s")
            except BaseException:
                process.terminate()
                process.wait()
                raise
    if code:
        tail = log.read_text("utf-8", "replace")[-2500:]
        raise BuildError(f"{command[0]} ended with {code}; the end of {log}:\n{tail}")


def report(text: str) -> None:
    print(text, flush=True)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Says what is being done and how long it took."""
    began = time.monotonic()
    report(f"{name} ...")
    yield
    report(f"{name}: {(time.monotonic() - began) / 60:.1f} min")
    sys.stdout.flush()
