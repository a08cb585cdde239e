"""The one place that writes to stdout, to stderr and to the log: what is one line stays one line.

No text that comes from outside can begin a line, move a cursor or colour anything: each argument of
`echo` is one line, and `printable` makes it so. `print` and `sys.stdout` are refused elsewhere (see
`pyproject.toml`), so that nobody has to think of it.
"""

import argparse
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from shutil import get_terminal_size
from types import TracebackType
from typing import Any, Final, NoReturn, TextIO

from edge.core.printable import fold_line, json_line_text, printable

CLEAR: Final = "\r\x1b[K"  # of the row that the cursor is in
TABLE: Final = re.compile(r"^ |\S {2,}\S", re.MULTILINE)
PRIORITIES: Final = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)
"""Of syslog, from each level on."""
LOST: Final = 3  # exit code: what was asked for could not be told


class OutputLostError(Exception):
    """What was to be told on stdout is not there. `unread`: the reader of our pipe has gone, as in
    `| head`, and needs no word about it."""

    def __init__(self, why: str, *, unread: bool = False) -> None:
        super().__init__(why)
        self.unread = unread


def echo(*lines: str, err: bool = False, fold: bool = True, flush: bool = True) -> None:
    """Write lines. On a terminal a long one goes on in rows that are indented, if `fold`.

    Raises OutputLostError where stdout cannot be written; without a stderr nothing can be said.
    """
    columns = get_terminal_size().columns if fold and is_terminal(err=err) else 0
    for line in lines:
        for row in fold_line(printable(line), columns) if columns else (printable(line),):
            _write(f"{row}\n", err=err)
    if flush:
        _write("", err=err, flush=True)


def echo_json(value: Any, *, indent: int | None = None, flush: bool = True) -> None:
    """Write one JSON value to stdout, for programs. Raises OutputLostError."""
    _write(f"{json_line_text(value, indent)}\n", flush=flush)


def progress(text: str) -> None:
    """Show how far it is in one row of stderr that is written anew; "" clears it.

    Where nobody looks on, or a row cannot be written anew, nothing is written.
    """
    if has_cursor(err=True):
        room = get_terminal_size().columns - 1
        row = next(fold_line(printable(text), room)) if text else ""
        _write(f"{CLEAR}{row}", err=True, flush=True)


def page_width(most: int) -> int:
    """Columns of a page that is `most` wide where there is room, as in a pipe."""
    return min(most, get_terminal_size().columns) if is_terminal() else most


def draw(text: str) -> None:
    """Write to stdout as it is: of who draws a picture there, and has made each line `printable`.
    Raises OutputLostError."""
    _write(text, flush=True)


def is_terminal(*, err: bool = False) -> bool:
    out = sys.stderr if err else sys.stdout
    return out is not None and out.isatty()


def has_cursor(*, err: bool = False) -> bool:
    """It is a terminal that understands escape sequences."""
    return is_terminal(err=err) and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")


def has_colours(*, err: bool = False) -> bool:
    """And nobody has asked for none (https://no-color.org)."""
    return has_cursor(err=err) and not os.environ.get("NO_COLOR")


def run_command(name: str, run: Callable[[], int]) -> int:
    """The exit code of a command, whatever becomes of its output: no traceback, and LOST where what
    was asked for did not arrive."""
    _occupy_descriptors()
    try:
        code = run()
        _write("", flush=True)
    except OutputLostError as error:
        _silence(sys.stdout)  # nor at the exit
        if error.unread:
            return 1
        echo(f"{name}: the output cannot be written: {error}", err=True)
        return LOST
    return code


def _write(text: str, *, err: bool = False, flush: bool = False) -> None:
    out = sys.stderr if err else sys.stdout
    try:
        if out is None:  # it was closed before this program began
            if text and not err:
                raise OutputLostError("it is closed")
            return
        if text:  # Python hands on even an empty one, and a full disk refuses that
            out.write(_encodable(text, out))
        if flush:
            out.flush()
    except BrokenPipeError:
        if not err:
            raise OutputLostError("nobody reads it", unread=True) from None
        _silence(out)
    except (OSError, ValueError) as error:  # ValueError: it is closed
        if not err:
            raise OutputLostError(getattr(error, "strerror", None) or str(error)) from None
        _silence(out)


def _silence(out: TextIO | None) -> None:
    """What could not be written is not tried again: Python would at its end, and complain."""
    with suppress(OSError, ValueError, AttributeError):  # not one of the system's: nothing waits
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, out.fileno())  # type: ignore[union-attr]
        finally:
            os.close(null)


def _occupy_descriptors() -> None:
    """A program that begins without stdout must not get a database there: whatever is opened next
    has its number. What is put there cannot be written, as before."""
    for number, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # the lowest that is free


class HelpText(argparse.HelpFormatter):
    """Paragraphs are filled; one that begins with blanks somewhere, or a table, stays as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = text.strip("\n").split("\n\n")
        return "\n\n".join(
            part if TABLE.search(part) else super(HelpText, self)._fill_text(part, width, indent)
            for part in parts
        )


class Parser(argparse.ArgumentParser):
    """Repeats a wrong word in its error, and a script may have that from anywhere."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "formatter_class": HelpText})

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))

    def _print_message(self, message: str, file: Any = None) -> None:
        """Help, version and errors by the rules of this module."""
        if message:
            err = file is sys.stderr and file is not sys.stdout
            echo(*message.removesuffix("\n").split("\n"), err=err)


class LineFormatter(logging.Formatter):
    """One line for each record; a traceback has its own lines, and no others. `journal`: each line
    begins with its priority, as sd-daemon(3) has it, and the journal takes that off."""

    def __init__(self, form: str | None = None, *, journal: bool = False) -> None:
        super().__init__(form)
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if not self._journal:
            return text
        priority = next(number for level, number in PRIORITIES if record.levelno >= level)
        return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return "\n".join(_traceback(ei[1])) if ei[1] is not None else ""

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return "\n".join(map(printable, stack_info.split("\n")))


def log_to_stderr(form: str, level: int) -> logging.Handler:
    """Of this process, which is a command or a service. The journal has the time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(form, journal=_goes_to_journal()))
    logging.basicConfig(level=level, handlers=[handler])
    return logging.getLogger().handlers[0]


def _goes_to_journal() -> bool:
    """Whether systemd has connected stderr with it (systemd.exec(5), JOURNAL_STREAM)."""
    with suppress(OSError, ValueError, AttributeError):
        found = os.fstat(sys.stderr.fileno())
        return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
    return False


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


def _encodable(row: str, out: TextIO) -> str:
    """A terminal that knows fewer letters gets the number of a letter instead."""
    if row.isascii():
        return row
    encoding = out.encoding or "utf-8"
    return row.encode(encoding, "backslashreplace").decode(encoding)
