"""Virtual time: one thread at a time, in one order, and time that passes only when all wait."""

import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from edge.rig import virtualtime
from edge.rig.virtualcalls import CALLS, replaced
from edge.rig.virtualtime import SLACK_NS, StandstillError, VirtualTime

S = 1_000_000_000


@contextmanager
def world() -> Iterator[VirtualTime]:
    made = VirtualTime(mono_ns=1000 * S, wall_ns=5000 * S, seed=1)
    with replaced(CALLS), made.conducted():
        yield made


def begun(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_an_hour_of_waiting_takes_a_moment_and_wakes_in_order() -> None:
    begin = time.monotonic()
    with world() as w:
        woken: list[tuple[str, float]] = []

        def wait(name: str, seconds: float) -> None:
            time.sleep(seconds)
            woken.append((name, time.monotonic()))

        for name, seconds in (("late", 3600.0), ("soon", 1.5), ("later", 1800.0)):
            begun(lambda n=name, s=seconds: wait(n, s))  # type: ignore[misc]
        w.run_until(w.now_ns + 4000 * S)
        assert [name for name, _ in woken] == ["soon", "later", "late"]
        assert woken[0][1] == 1001.5 + SLACK_NS / S
        assert (w.now_ns, time.time()) == (5000 * S, 9000.0)
        assert w.names == []
    assert time.monotonic() - begin < 5


def test_no_time_passes_while_somebody_works() -> None:
    with world() as w:
        seen: list[float] = []

        def work() -> None:
            begin = time.monotonic()
            sum(range(1_000_000))
            seen.append(time.monotonic() - begin)

        begun(work)
        begun(lambda: time.sleep(0.001))
        w.run_until(w.now_ns + S)
        assert seen == [0.0]


def test_only_one_runs_at_a_time_and_each_run_takes_the_same_turns() -> None:
    def run() -> list[tuple[str, int]]:
        turns: list[tuple[str, int]] = []
        with world() as w:

            def work(name: str, step_s: float) -> None:
                for _ in range(200):
                    turns.append((name, w.now_ns))
                    time.sleep(step_s)

            for name, step_s in (("a", 0.003), ("b", 0.002), ("c", 0.002)):
                begun(lambda n=name, s=step_s: work(n, s))  # type: ignore[misc]
            w.run_until(w.now_ns + 10 * S)
        return turns

    assert len(first := run()) == 600
    assert first == run()


def test_what_is_sent_wakes_who_selects_in_the_same_moment() -> None:
    with world() as w:
        ours, theirs = socket.socketpair()
        heard: list[tuple[bytes, float]] = []

        def listen() -> None:
            with selectors.DefaultSelector() as selector:
                selector.register(theirs, selectors.EVENT_READ)
                assert selector.select(2.0) == []
                assert selector.select(60.0)
                heard.append((theirs.recv(10), time.monotonic()))

        begun(listen)
        w.run_until(1010 * S)
        ours.send(b"now")
        w.run_until(1010 * S)
        assert heard == [(b"now", 1010.0)]
        ours.close()
        theirs.close()


def test_a_network_of_its_own_refuses_connects_and_carries() -> None:
    with world() as w:
        said: list[object] = []

        def call() -> None:
            try:
                with socket.create_connection(("192.0.2.7", 502), 3.0) as sock:
                    sock.sendall(b"hello")
                    sock.settimeout(2.0)
                    said.append(sock.recv(10))
            except OSError as error:
                said.append((type(error).__name__, time.monotonic()))

        begun(call)
        w.run_until(w.now_ns + S)
        listener = socket.create_server(("192.0.2.7", 502))
        begun(call)
        w.run_until(w.now_ns + 10 * S)
        begun(call)
        w.run_until(w.now_ns + S)
        with listener:
            for answer in (b"", b"you"):  # the first one has given up
                with listener.accept()[0] as served:
                    assert served.recv(10) == b"hello"
                    if answer:
                        served.send(answer)
                    w.run_until(w.now_ns + S)
        late = 1003.0 + SLACK_NS / S
        assert said == [("ConnectionRefusedError", 1000.0), ("TimeoutError", late), b"you"]


def test_who_is_aside_reaches_nobody() -> None:
    with world() as w, socket.create_server(("192.0.2.7", 502)):
        said: list[str] = []

        def call() -> None:
            time.sleep(1.0)
            try:
                socket.create_connection(("192.0.2.7", 502), 3.0)
            except OSError as error:
                said.append(str(error))

        with w.grouped("box"):
            begun(call)
        with w.aside("box"):
            w.run_until(w.now_ns + 10 * S)
        assert said == ["timed out"]


def test_a_group_that_stands_still_goes_on_where_it_was() -> None:
    with world() as w:
        woken: list[float] = []

        def tick() -> None:
            for _ in range(3):
                time.sleep(1.0)
                woken.append(time.monotonic())

        with w.grouped("box"):
            begun(tick)
        w.run_until(w.now_ns + S + S // 2)
        w.still.add("box")
        w.run_until(w.now_ns + 10 * S)
        w.still.clear()
        w.run_until(w.now_ns + 3 * S)
        assert [int(at_s) for at_s in woken] == [1001, 1011, 1012]


def test_events_conditions_and_joins_let_others_go_on() -> None:
    with world():
        told, changed, log = threading.Event(), threading.Condition(), []

        def wait() -> None:
            assert told.wait(5.0)
            log.append("told")
            with changed:
                assert not changed.wait(1.0)
                assert changed.wait(5.0)
            log.append("changed")

        def tell() -> None:
            time.sleep(1.0)
            told.set()
            time.sleep(3.0)
            with changed:
                changed.notify_all()

        waiting = begun(wait)
        begun(tell)
        waiting.join(2.0)
        assert (waiting.is_alive(), log) == (True, ["told"])
        waiting.join()
        assert (waiting.is_alive(), log) == (False, ["told", "changed"])


def test_a_job_for_an_executor_is_done_when_it_is_given() -> None:
    with world() as w:
        pool = ThreadPoolExecutor(1)
        assert type(pool).submit is ThreadPoolExecutor.submit
    from edge.outbox import asyncoutbox

    with world() as w:
        pool = getattr(asyncoutbox, "ThreadPoolExecutor")(1)  # noqa: B009  as it is found there
        assert pool.submit(lambda: w.now_ns).done()
        assert isinstance(pool.submit(int, "x").exception(), ValueError)
        pool.shutdown()


def test_who_waits_for_ever_and_who_goes_round_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with world() as w:
        thread = threading.Thread(target=threading.Event().wait, name="patient", daemon=True)
        thread.start()
        with pytest.raises(StandstillError, match="all wait for ever: patient"):
            w.wait(None, None)
    monkeypatch.setattr(virtualtime, "TURNS_MAX", 1000)
    with world() as w:

        def spin() -> None:
            while True:
                time.sleep(0)

        threading.Thread(target=spin, name="dizzy", daemon=True).start()
        with pytest.raises(StandstillError, match="no time passes: one of dizzy goes round"):
            w.run_until(w.now_ns + S)


def test_what_happens_aside_takes_no_time_from_others() -> None:
    with world() as w:
        with w.grouped("box"):
            begun(lambda: time.sleep(30.0))
        begun(lambda: time.sleep(10.0))
        with w.aside("box"):
            w.run_until(w.now_ns + 60 * S)
            assert w.now_ns == 1060 * S
        assert w.now_ns == 1000 * S
        assert len(w.names) == 1


def test_a_thread_of_real_time_is_served_by_the_real_clock() -> None:
    from edge.acquire.clock import SystemClock

    seen: list[int] = []
    ready, go = threading.Event(), threading.Event()

    def outside() -> None:
        ready.set()
        go.wait(10)
        seen.append(SystemClock().now().mono_ns)

    thread = threading.Thread(target=outside)
    thread.start()
    ready.wait(10)
    before = time.monotonic_ns()
    with world():
        assert SystemClock().now().mono_ns == 1000 * S
        go.set()
        with virtualtime.real_time():
            thread.join(10)
    assert before < seen[0] < time.monotonic_ns()


def test_everything_real_is_back_at_the_end() -> None:
    import os

    from edge import kernelclock
    from edge.acquire.busthread import ThreadBridge

    def held() -> list[object]:
        defaults = ThreadBridge.__init__.__defaults__
        return [time.monotonic_ns, threading.Thread, selectors.DefaultSelector, socket.socket,
                kernelclock.mono_ns, os.write, os.openpty, defaults]  # fmt: skip

    before = held()
    with world():
        within = held()
    assert [one is other for one, other in zip(before, held(), strict=True)] == [True] * 7 + [False]
    assert held()[7] == before[7]
    assert all(one != other for one, other in zip(before, within, strict=True))
