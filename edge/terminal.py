"""The one place that writes to stdout, to stderr and to the log: what is one line stays one line.

No text that comes from outside can begin a line, move a cursor or colour anything: each argument of
`echo` is one line, and `printable` makes it so. `print` and `sys.stdout` are refused elsewhere (see
`pyproject.toml`), so that nobody has to think of it.
"""

import argparse
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from shutil import get_terminal_size
from types import TracebackType
from typing import Any, Final, NoReturn, TextIO

from edge.core.printable import fold_line, json_line_text, printable

CLEAR: Final = "\r\x1b[K"  # of the row that the cursor is in


def echo(*lines: str, err: bool = False, fold: bool = True, flush: bool = True) -> None:
    """Write lines. On a terminal a long one goes on in rows that are indented, if `fold`."""
    out = sys.stderr if err else sys.stdout
    columns = get_terminal_size().columns if fold and is_terminal(err=err) else 0
    for line in lines:
        for row in fold_line(printable(line), columns) if columns else (printable(line),):
            print(_encodable(row, out), file=out)
    if flush and out is not None:
        out.flush()


def echo_json(value: Any, *, indent: int | None = None, flush: bool = True) -> None:
    """Write one JSON value to stdout, for programs."""
    print(json_line_text(value, indent), flush=flush)


def progress(text: str) -> None:
    """Show how far it is in one row of stderr that is written anew; "" clears it.

    Where nobody looks on nothing is written.
    """
    if is_terminal(err=True):
        room = get_terminal_size().columns - 1
        row = next(fold_line(printable(text), room)) if text else ""
        print(f"{CLEAR}{row}", end="", file=sys.stderr, flush=True)


def is_terminal(*, err: bool = False) -> bool:
    out = sys.stderr if err else sys.stdout
    return out is not None and out.isatty()


class Parser(argparse.ArgumentParser):
    """Repeats a wrong word in its error, and a script may have that from anywhere."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


class LineFormatter(logging.Formatter):
    """One line for each record; a traceback has its own lines, and no others."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return "\n".join(_traceback(ei[1])) if ei[1] is not None else ""

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return "\n".join(map(printable, stack_info.split("\n")))


def log_to_stderr(form: str, level: int) -> logging.Handler:
    """Of this process, which is a command or a service. The journal has the time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(form))
    logging.basicConfig(level=level, handlers=[handler])
    return logging.getLogger().handlers[0]


def log_faults() -> None:
    """Let the traceback of a fault of ours, in any thread, be told by the same rule; and what a
    library logs where nobody has set a log up.
    """

    def print_error(
        kind: type[BaseException], fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if fault is not None:
            echo(*_traceback(fault), err=True, fold=False)

    sys.excepthook = print_error
    if threading.excepthook is threading.__excepthook__:  # nobody else wants to know
        threading.excepthook = lambda args: print_error(args.exc_type, args.exc_value, None)
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(LineFormatter())


def _traceback(fault: BaseException) -> Iterator[str]:
    """As Python shows it, the oldest cause first."""
    chain: list[BaseException] = []
    each: BaseException | None = fault
    while each is not None and each not in chain:
        chain.append(each)
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
    for each in reversed(chain):
        yield "Traceback (most recent call last):"
        for rows in traceback.format_tb(each.__traceback__):
            yield from map(printable, rows.rstrip("\n").split("\n"))
        yield printable(f"{type(each).__qualname__}: {each}")


def _encodable(row: str, out: TextIO | None) -> str:
    """A terminal that knows fewer letters gets the number of a letter instead."""
    if row.isascii():
        return row
    encoding = (None if out is None else out.encoding) or "utf-8"
    return row.encode(encoding, "backslashreplace").decode(encoding)
