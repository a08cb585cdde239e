"""Programs that the page runs: bounded in time and in what they say; and lines of the journal."""

import asyncio
import json
import sys
import time

import pytest

from edge.web import childrun
from edge.web.childrun import ChildError, run_child
from edge.web.journal import TEXT_LIMIT, _row


async def test_what_a_child_says_comes_with_its_code() -> None:
    found = await run_child([sys.executable, "-c", "print(7); raise SystemExit(3)"], 30)
    assert (found.code, found.out) == (3, b"7\n")


async def test_a_child_that_takes_too_long_is_ended() -> None:
    begin = time.monotonic()
    with pytest.raises(ChildError, match="longer than"):
        await run_child([sys.executable, "-c", "import time; time.sleep(60)"], 0.5)
    assert time.monotonic() - begin < 10


async def test_a_child_that_says_too_much_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(childrun, "OUTPUT_LIMIT", 1 << 20)
    loud = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
    with pytest.raises(ChildError, match="more than 1 MiB"):
        await run_child([sys.executable, "-c", loud], 30)


async def test_the_end_of_a_child_is_not_waited_for_behind_what_nobody_reads() -> None:
    """More than fits into asyncio's buffer lies in the pipe when it is killed."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import sys\nwhile True: sys.stdout.write('x' * 65536)",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    await asyncio.sleep(0.5)  # until asyncio does not read any more
    await asyncio.wait_for(childrun._end(child), 10)
    assert child.returncode == -9


async def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ChildError, match="cannot be started"):
        await run_child(["/nonexistent/journalctl"], 5)


async def test_a_child_ends_with_whoever_asked() -> None:
    task = asyncio.create_task(run_child([sys.executable, "-c", "import time; time.sleep(60)"], 90))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_line_of_the_journal_is_one_line_of_bounded_text() -> None:
    entry = {
        "__REALTIME_TIMESTAMP": "1790000000000000",
        "PRIORITY": "4",
        "_SYSTEMD_UNIT": "a.service",
    }
    found = _row(json.dumps({**entry, "MESSAGE": "x\n\x1b[31m" * 9999}).encode())
    assert found is not None
    assert len(found["text"]) <= TEXT_LIMIT + 8
    assert "\n" not in found["text"]
    assert "\x1b" not in found["text"]
    raw = _row(json.dumps({**entry, "MESSAGE": [72, 105, 255, 999, "x"]}).encode())
    assert raw is not None
    assert raw["text"].startswith("Hi")
    for line in (b"", b"{", b"[]", b'{"MESSAGE": 3}', b'{"__REALTIME_TIMESTAMP": []}'):
        assert _row(line) is None
