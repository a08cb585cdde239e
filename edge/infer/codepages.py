"""Gives back the pages of code that only a start needed.

onnxruntime alone touches 20 MiB of its code when it starts (its tables of operators, its parser and
optimizer of models), and most of that never again; the interpreter and its other libraries have
such parts, too. The pages are clean copies of files: unmapped with madvise(2), MADV_DONTNEED, they
are there again, from the page cache, when something is executed in them. The kernel would take them
back as well, but only when the box is short of memory already.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

SMAPS: Final = Path("/proc/self/smaps")
MADV_DONTNEED: Final = 4  # <asm-generic/mman-common.h>
CODE: Final = "r-xp"  # may be read and executed, and is never written
HEAD: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+ *(\S?.*)")
FIGURE: Final = re.compile(r"(\w+): +(\d+) kB")


class Mapping(NamedTuple):
    """A part of a file that is mapped, proc_pid_smaps(5)."""

    start: int
    end: int
    access: str
    path: str
    resident_kib: int
    written_kib: int  # pages that are no longer the file's: they would be lost


def mappings(smaps: str) -> Iterator[Mapping]:
    """What `smaps` says of files."""
    for head, figures in _parts(smaps):
        if head[4].startswith("/"):
            found = dict(FIGURE.findall(figures))
            yield Mapping(
                int(head[1], 16), int(head[2], 16), head[3], head[4], int(found.get("Rss", 0)),
                int(found.get("Anonymous", 0)) + int(found.get("Private_Dirty", 0)),
            )  # fmt: skip


def _parts(smaps: str) -> Iterator[tuple[re.Match[str], str]]:
    head, lines = None, list[str]()
    for line in smaps.splitlines():
        if (begins := HEAD.fullmatch(line)) is not None:
            if head is not None:
                yield head, "\n".join(lines)
            head, lines = begins, []
        else:
            lines.append(line)
    if head is not None:
        yield head, "\n".join(lines)


def release_code(library: str = "") -> int:
    """KiB of code that this process no longer holds, of files whose name begins with `library`.

    0 where the system does not say what is mapped. Raises nothing.
    """
    import ctypes  # numpy has it; a box without models does without

    try:
        smaps = SMAPS.read_text(encoding="utf-8", errors="replace")
        libc = ctypes.CDLL(None, use_errno=True)
        released = 0
        for each in mappings(smaps):
            ours = each.access == CODE and Path(each.path).name.startswith(library)
            if not ours or each.written_kib:
                continue
            length = ctypes.c_size_t(each.end - each.start)
            if libc.madvise(ctypes.c_void_p(each.start), length, MADV_DONTNEED) == 0:
                released += each.resident_kib
    except (OSError, AttributeError):  # no /proc, or another C library
        return 0
    return released
