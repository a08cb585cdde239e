"""The examination ends in time with what it has, whatever hangs; and says what was not come to."""

import threading
from collections.abc import Iterable, Iterator

import pytest

from edge.diagnose import examination
from edge.diagnose.checks import CheckResult, passed
from edge.diagnose.examination import ENDED_EARLY, CheckStep, Examination, Tick


@pytest.fixture
def hung() -> Iterator[threading.Event]:
    """What a step waits for until the test is over."""
    over = threading.Event()
    yield over
    over.set()


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "LOOK_S", 0.01)


def quick(tick: Tick) -> Iterable[CheckResult]:
    return [passed("memory", "213 MB left")]


def waits(over: threading.Event) -> CheckStep:
    """It has its first answer, and never the second."""

    def work(tick: Tick) -> Iterator[CheckResult]:
        yield passed("dns", "192.0.2.1")
        tick("the name server")
        over.wait(60)

    return CheckStep("broker", ("dns", "tcp"), work, 0.3)


def test_a_step_that_hangs_keeps_nothing_else_waiting(hung: threading.Event) -> None:
    one = Examination([waits(hung), CheckStep("box", ("memory",), quick)])
    one.start()
    assert one.wait() == ""
    found = {each.check: each for each in one.results()}
    assert found["memory"].outcome == found["dns"].outcome == "ok"
    assert found["tcp"].outcome == "not checked"
    assert found["tcp"].cause == "no answer within 0.3 s (the name server)"


def test_who_has_seen_enough_gets_what_was_found(hung: threading.Event) -> None:
    one = Examination([waits(hung), CheckStep("box", ("memory",), quick)])
    one.start()

    def watch() -> None:
        if "1 of 2 parts  the name server" in one.progress:
            raise KeyboardInterrupt

    assert one.wait(watch) == ENDED_EARLY
    found = {each.check: each.outcome for each in one.results()}
    assert found == {"memory": "ok", "dns": "ok", "tcp": "not checked"}


def test_what_is_known_in_the_middle_of_a_step_is_told(hung: threading.Event) -> None:
    def work(tick: Tick) -> Iterator[CheckResult]:
        hung.wait(60)
        yield passed("tcp", "")

    step = CheckStep("broker", ("dns", "tcp"), work, 0.1, lambda: [passed("dns", "192.0.2.1")])
    one = Examination([step])
    one.start()
    one.wait()
    assert [(each.check, each.outcome) for each in one.results()] == [
        ("dns", "ok"), ("tcp", "not checked"),
    ]  # fmt: skip


def test_a_fault_of_ours_is_raised() -> None:
    def work(tick: Tick) -> Iterable[CheckResult]:
        raise ZeroDivisionError

    one = Examination([CheckStep("box", ("memory",), work)])
    one.start()
    with pytest.raises(ZeroDivisionError):
        one.wait()


def test_what_is_closed_to_us_is_not_checked_and_ends_nothing() -> None:
    def closed(tick: Tick) -> Iterator[CheckResult]:
        yield passed("store_rights", "one of two")
        raise PermissionError(13, "Permission denied", "/var/lib/kerbstone/outbox")

    examination = Examination(
        [
            CheckStep("closed", ("store_rights", "secret_files"), closed),
            CheckStep("open", ("memory",), lambda tick: [passed("memory", "9 MB")]),
        ]
    )
    examination.start()
    assert examination.wait() == ""
    assert [(one.check, one.outcome) for one in examination.results()] == [
        ("store_rights", "ok"),
        ("secret_files", "not checked"),
        ("memory", "ok"),
    ]
    assert "/var/lib/kerbstone/outbox is not open to you: use sudo" in (
        examination.results()[1].cause
    )
