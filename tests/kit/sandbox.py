"""A program under the filter of system calls that a unit of systemd asks for, without systemd.

python -m tests.kit.sandbox UNIT PROGRAM [ARGUMENT...]
"""

import ctypes
import os
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path
from typing import Final

ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
REFUSE: Final = 0x00050000  # and the number of the error
EPERM: Final = 1


def missing() -> str:
    """Why it cannot be tried here; empty if it can."""
    return "" if find_library("seccomp") else "libseccomp is missing: apt install libseccomp2"


def settings(unit: Path, name: str) -> list[str]:
    """All that a unit says of this, in order."""
    lines = unit.read_text().splitlines()
    return [line.removeprefix(f"{name}=") for line in lines if line.startswith(f"{name}=")]


def allowed_calls(unit: Path) -> set[str]:
    """Names of system calls, by the sets of the systemd that is here."""
    found = _members("@default")
    for said in settings(unit, "SystemCallFilter"):
        named = {call for each in said.removeprefix("~").split() for call in _members(each)}
        found = found - named if said.startswith("~") else found | named
    return found


def _members(name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    words = ["systemd-analyze", "syscall-filter", name]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    lines = (line.strip() for line in said.splitlines()[1:])
    return {call for line in lines if line and line[0] != "#" for call in _members(line)}


def confine(unit: Path) -> None:
    """From now on, for good: this process, and what it becomes."""
    seccomp = ctypes.CDLL(find_library("seccomp"))
    seccomp.seccomp_init.restype = ctypes.c_void_p
    refuses = settings(unit, "SystemCallErrorNumber") == ["EPERM"]
    context = ctypes.c_void_p(seccomp.seccomp_init(REFUSE | EPERM if refuses else KILL))
    for call in allowed_calls(unit):
        number = seccomp.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:  # else it is one of another machine
            seccomp.seccomp_rule_add(context, ctypes.c_uint32(ALLOW), number, 0)
    if seccomp.seccomp_load(context) != 0:
        raise OSError("the filter cannot be loaded")


if __name__ == "__main__":
    confine(Path(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
