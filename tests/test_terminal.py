"""What goes to stdout, stderr and the log: one argument, one line."""

import io
import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge import terminal
from edge.core.printable import printable

ROOT = Path(__file__).parents[1]
EVIL = "x\x1b[2J\r\n9999 records: complete\u202e"


def test_an_argument_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.echo("one", EVIL, "three")
    terminal.echo(EVIL, err=True)
    said = capsys.readouterr()
    assert said.out == f"one\n{printable(EVIL)}\nthree\n"
    assert said.err == f"{printable(EVIL)}\n"


def test_a_terminal_of_few_letters_ends_nothing() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    old, sys.stdout = sys.stdout, out
    try:
        terminal.echo("Zähler \ud800")
    finally:
        sys.stdout = old
    assert out.buffer.getvalue() == rb"Z\xe4hler \ud800" + b"\n"


def test_the_journal_gets_each_line_with_its_priority() -> None:
    """An issue that opens is found by `journalctl -p warning`, and one that closes is not."""
    program = (
        "import logging; from edge.terminal import log_to_stderr\n"
        "log_to_stderr('%(levelname)s %(message)s', logging.INFO)\n"
        "logging.warning('opens <3>'); logging.info('closes')\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: logging.exception('bad')\n"
    )

    def said(journal: bool) -> list[str]:
        reader, writer = os.pipe()
        found = os.fstat(writer)
        place = f"{found.st_dev}:{found.st_ino}" if journal else "1:2"
        env = {**os.environ, "JOURNAL_STREAM": place, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", program], stderr=writer, env=env, check=True)
        os.close(writer)
        with os.fdopen(reader) as lines:
            return lines.read().splitlines()

    lines = said(journal=True)
    assert lines[:3] == ["<4>WARNING opens <3>", "<6>INFO closes", "<3>ERROR bad"]
    assert len(lines) > 4
    assert all(line.startswith("<3>") for line in lines[3:])
    assert said(journal=False)[:2] == ["WARNING opens <3>", "INFO closes"]


def test_a_daemon_that_says_little_says_that_an_issue_has_closed() -> None:
    program = (
        "import logging; from edge.cli.main import main\n"
        "main(['run', '/nowhere/site.toml'])\n"
        "logging.getLogger('kerbstone.issues').info('it is over')\n"
        "logging.getLogger('kerbstone').info('chatter')\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    made = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=env, check=True
    )
    assert "INFO kerbstone.issues: it is over" in made.stderr
    assert "chatter" not in made.stderr


def test_a_log_line_is_one_line_and_its_traceback_invents_none() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(terminal.LineFormatter("%(levelname)s %(name)s: %(message)s"))
    log = logging.Logger("evil")
    log.addHandler(handler)
    log.warning("broker said %s", EVIL)
    try:
        try:
            raise ValueError(EVIL)
        except ValueError as error:
            raise KeyError("second") from error
    except KeyError:
        log.exception("fault %s", EVIL)
    lines = stream.getvalue().split("\n")
    assert lines[0] == f"WARNING evil: broker said {printable(EVIL)}"
    assert not [line for line in lines if not line.isprintable()]
    assert [line for line in lines if line.startswith("9999")] == []
    assert f"ValueError: {printable(EVIL)}" in lines
    assert "KeyError: 'second'" in lines


def test_the_fault_of_a_command_invents_no_line_either() -> None:
    """In the main thread, in another one, and in the log of a library that nobody set up."""
    code = f"""
import logging, threading
from edge.terminal import log_faults

def fail():
    raise RuntimeError({EVIL!r})

log_faults()
logging.getLogger("library").warning({EVIL!r})
other = threading.Thread(target=fail)
other.start()
other.join()
fail()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    lines = done.stderr.decode().split("\n")
    assert done.returncode == 1
    assert lines[0] == printable(EVIL)
    assert lines.count(f"RuntimeError: {printable(EVIL)}") == 2
    assert all(line.isprintable() for line in lines)


def test_a_wrong_word_in_a_command_is_repeated_in_one_line() -> None:
    words = [sys.executable, "-m", "edge.cli.main", "status", "--config", "x", EVIL]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.decode().endswith(f"{printable(EVIL)}\n")
    assert done.stderr.count(b"\n") == 2 + done.stderr.count(b"\n  ")


def test_on_a_terminal_a_long_line_begins_no_row_at_the_left() -> None:
    """Blanks in a name were enough: the terminal itself broke the line where the sender chose."""
    text = "event" + " " * 75 + "9999 records: complete"
    code = "from edge.terminal import echo, progress as p; "
    code += f"echo({text!r}); p({text!r}); p('')"
    main, side = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment,
                          stdout=side, stderr=side, check=False)  # fmt: skip
    os.close(side)
    said = os.read(main, 4096).decode()
    os.close(main)
    assert done.returncode == 0
    assert "9999 records: complete" in said
    assert re.search(r"(?m)^9999", said.replace("\r", "\n").replace("\x1b[K", "")) is None


def test_the_linter_refuses_every_other_way(tmp_path: Path) -> None:
    """By construction, and not by remembering: `ruff` knows the rule, and `make check` runs it."""
    for text in ("print('x')", "import sys\n\nsys.stdout.write('x')",
                 "import sys\n\nsys.stderr.write('x')",
                 "import logging\n\nlogging.basicConfig()"):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"),
             "--stdin-filename", str(ROOT / "edge/cli/new.py"), "-"],
            input=f'"""A verb."""\n\n{text}\n', capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1, text
        assert "T201" in done.stdout or "edge.terminal" in done.stdout, text
