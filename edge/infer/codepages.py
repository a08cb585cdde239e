"""Unmaps the pages of code that only a start needed: the process is smaller by them (RSS).

onnxruntime alone touches 20 MiB of its code when it starts (its tables of operators, its parser and
optimizer of models), and most of that never again; the interpreter and its other libraries have
such parts, too. The pages are clean copies of files: unmapped with madvise(2), MADV_DONTNEED, they
come back from the page cache when something is executed in them, and the kernel may have them for
something else at once, not only when it looks for what is used least.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SMAPS: Final = Path("/proc/self/smaps")
PROGRAM: Final = Path("/proc/self/exe")
MADV_DONTNEED: Final = 4  # <asm-generic/mman-common.h>
CODE: Final = "r-xp"  # may be read and executed, and is never written
HEAD: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+ *(/.*)?")
FIGURE: Final = re.compile(r"(\w+): +(\d+) kB", re.MULTILINE)
OWN: Final = ("Anonymous", "Swap", "Private_Hugetlb")  # pages that are no longer the file's


@dataclass(frozen=True, slots=True)
class CodeOfFile:
    """A part of a file that is mapped to be executed, proc_pid_smaps(5)."""

    start: int
    end: int
    path: str
    resident_kib: int
    own_kib: int  # copies that somebody wrote to: unmapped they would be lost


def code_of_files(smaps: str) -> Iterator[CodeOfFile]:
    """What `smaps` says of code."""
    for head, figures in _parts(smaps):
        if head[3] == CODE and head[4]:
            found = {name: int(kib) for name, kib in FIGURE.findall(figures)}
            own_kib = sum(found.get(name, 0) for name in OWN)
            start, end = int(head[1], 16), int(head[2], 16)
            yield CodeOfFile(start, end, head[4], found.get("Rss", 0), own_kib)


def _parts(smaps: str) -> Iterator[tuple[re.Match[str], str]]:
    head, lines = None, list[str]()
    for line in smaps.split("\n"):  # a name may hold what else ends a line
        if (begins := HEAD.fullmatch(line)) is not None:
            if head is not None:
                yield head, "\n".join(lines)
            head, lines = begins, []
        else:
            lines.append(line)
    if head is not None:
        yield head, "\n".join(lines)


def release_code() -> int:
    """KiB of code that this process no longer holds. 0 where the system does not say what is
    mapped. Raises nothing.

    Other threads may load and unload libraries meanwhile, and another thing may then lie where code
    was. So each library is pinned first, which waits for the loader and takes only what is wholly
    there; then it is looked at again where that lies.
    """
    try:
        import ctypes  # numpy has it; a box without models does without

        libc = ctypes.CDLL(None)
        program = str(PROGRAM.readlink())
        paths = {each.path for each in code_of_files(_smaps())}
        fixed = {path for path in paths if path == program or _pinned(ctypes, path)}
        released = 0
        for each in code_of_files(_smaps()):
            if each.path in fixed and not each.own_kib:
                length = ctypes.c_size_t(each.end - each.start)
                if libc.madvise(ctypes.c_void_p(each.start), length, MADV_DONTNEED) == 0:
                    released += each.resident_kib
    except (ImportError, OSError, AttributeError):  # no /proc, or another C library
        return 0
    return released


def _pinned(ctypes: Any, path: str) -> bool:
    """The library is loaded, and stays where it is until the process ends."""
    try:
        ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NODELETE | os.RTLD_NOW)
    except OSError:
        return False
    return True


def _smaps() -> str:
    return SMAPS.read_text(encoding="utf-8", errors="surrogateescape")
