"""Opens a pseudo-terminal as a port only where its name still means the port that it was given to.

Behind the name may be somebody's terminal by now: `edge/core/simulatedport.py`.
"""

import contextlib
import os
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from drivers.buses.finding import Finding, fault
from edge.core.simulatedport import LINK_TARGET, PTS, find_mark, simulated_mark

LINKS_MAX: Final = 40  # as the kernel


class NotSimulatedError(Exception):
    """Another program has this terminal."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


def is_pty(port: str) -> bool:
    """Whether a name, or what its links lead to, is a pseudo-terminal."""
    return os.path.realpath(port).startswith(PTS)


@contextlib.contextmanager
def hold_pty(port: str) -> Iterator[str]:
    """The terminal's own name. Within the block nobody else can get it.

    Raises NotSimulatedError for a terminal of somebody else, OSError for one that is not there.
    """
    fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        node = os.ttyname(fd)
        try:
            mark = find_mark(termios.tcgetattr(fd)[6])
        except termios.error as error:  # it is no OSError
            raise OSError(*error.args) from error
        _check(port, node, mark)
        yield node
    finally:
        os.close(fd)


def pty_finding(port: str) -> Finding | None:
    """What is wrong with a port that is somebody else's terminal; None for all others."""
    if is_pty(port):
        with contextlib.suppress(OSError):
            try:
                with hold_pty(port):
                    pass
            except NotSimulatedError as error:
                return error.finding
    return None


def _check(port: str, node: str, mark: bytes) -> None:
    names, simulated = _names(port)
    if mark in map(simulated_mark, names if simulated else [*names, node]):
        return
    if simulated:
        raise NotSimulatedError(_not_its(port, node))
    if mark or not names:
        raise NotSimulatedError(_number(port, node))


def _names(port: str) -> tuple[list[str], bool]:
    """The links on the way to the terminal, and whether a simulation made the last one."""
    found: list[str] = []
    path, target = Path(port).absolute(), ""
    while len(found) < LINKS_MAX:
        path = path.parent.resolve() / path.name
        if not path.is_symlink():
            break
        found.append(str(path))
        target = str(path.readlink())
        path = path.parent / target
    return found, target.startswith(LINK_TARGET)


def _not_its(port: str, node: str) -> Finding:
    return fault(
        f"{port} ({node}) is not the terminal that a simulation gave out by this name: the"
        " simulation has ended or its folder was moved, or another program has set the terminal"
        " anew",
        "start `kerbstone sim` again",
    )


def _number(port: str, node: str) -> Finding:
    known = port if port == node else f"{port} ({node})"
    return fault(
        f"{known} is the terminal of another program, or of another simulation, or was set anew by"
        " another program",
        "start `kerbstone sim` again; name the terminal of another simulator by a link (socat:"
        " link=/tmp/meter.tty), because numbers in /dev/pts are used again",
    )
