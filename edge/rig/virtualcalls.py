"""What threads of a virtual time call in place of the system's clocks and waits.

Each of these does what the real one does in a thread that lives in real time. `replaced` puts them
wherever our own code, asyncio and paho hold the real ones: as a name of a module, or as a default
of a parameter. Nothing of the daemon is written for it, and nothing of it stays behind.

A job for an executor is done at once, in the thread that gives it: it takes no time.
"""

import contextlib
import os
import secrets
import select
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from concurrent.futures import thread as futures_thread
from types import FunctionType, ModuleType
from typing import Any, Final, ParamSpec, TypeVar

from edge.rig import virtualpty
from edge.rig.virtualsocket import VirtualSocket
from edge.rig.virtualtime import Participant, VirtualTime, real_time, virtual_time

P = ParamSpec("P")
T = TypeVar("T")
NS: Final = 1_000_000_000
HOLDERS: Final = (
    "asyncio", "concurrent.futures", "drivers", "edge", "os", "paho", "resource", "secrets",
    "select", "selectors", "socket", "threading", "time",
)  # fmt: skip
"""Packages and modules in which the real ones are looked for."""
OWN: Final = ("edge.rig.virtual",)


class VirtualThread(threading.Thread):
    """Takes part in the virtual time of the thread that starts it."""

    _part: tuple[VirtualTime, Participant] | None = None

    def start(self) -> None:
        world = virtual_time()
        if world is not None:
            self._part = world, world.join_in(self.name)
        with real_time():  # until it has begun
            super().start()

    def run(self) -> None:
        if self._part is None:
            super().run()
            return
        world, part = self._part
        world.begin(part)
        try:
            super().run()
        finally:
            world.leave(part)

    def is_alive(self) -> bool:
        return super().is_alive() if self._part is None else not self._part[1].is_over

    def join(self, timeout: float | None = None) -> None:
        world = virtual_time()
        if world is None or self._part is None:
            super().join(timeout)
            return
        part = self._part[1]
        world.wait(lambda: part.is_over, world.after(timeout))
        if part.is_over:
            with real_time():
                super().join()


class VirtualEvent(threading.Event):
    """Its waiters let others go on."""

    def wait(self, timeout: float | None = None) -> bool:
        world = virtual_time()
        if world is None:
            return super().wait(timeout)
        if not self.is_set():
            world.wait(self.is_set, world.after(timeout))
        return self.is_set()


class VirtualCondition(threading.Condition):
    """Its waiters let others go on."""

    def __init__(self, lock: Any = None) -> None:
        super().__init__(lock)
        self._cells: list[list[bool]] = []  # who waits in virtual time

    def wait(self, timeout: float | None = None) -> bool:
        world = virtual_time()
        if world is None:
            return super().wait(timeout)
        cell = [False]
        self._cells.append(cell)
        saved = self._release_save()  # type: ignore[attr-defined]  # missing in its stub
        try:
            world.wait(lambda: cell[0], world.after(timeout))
        finally:
            self._acquire_restore(saved)  # type: ignore[attr-defined]
        if not cell[0]:
            self._cells.remove(cell)
        return cell[0]

    def notify(self, n: int = 1) -> None:
        super().notify(n)
        self._tell(n)

    def notify_all(self) -> None:
        super().notify_all()
        self._tell(len(self._cells))

    def _tell(self, count: int) -> None:
        told, self._cells = self._cells[:count], self._cells[count:]
        for cell in told:
            cell[0] = True


class VirtualSelector(selectors.EpollSelector):
    """Whoever selects lets others go on: each asyncio loop does."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        world = virtual_time()
        if world is None:
            return super().select(timeout)
        poll = self._selector.poll  # type: ignore[attr-defined]  # epoll's own: it is asked often
        world.wait(lambda: bool(poll(0, 1)), world.after(timeout))
        return super().select(0)


class VirtualExecutor(futures_thread.ThreadPoolExecutor):
    """Does each job at once, if it is given in virtual time."""

    def submit(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> "futures.Future[T]":
        if virtual_time() is None:
            return super().submit(function, *args, **kwargs)
        done: futures.Future[T] = futures.Future()
        try:
            done.set_result(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  as an executor does: it is the caller's
            done.set_exception(error)
        return done


_monotonic, _monotonic_ns = time.monotonic, time.monotonic_ns
_time, _time_ns = time.time, time.time_ns  # noqa: TID251  here they are what is replaced
_perf_counter, _perf_counter_ns, _sleep = time.perf_counter, time.perf_counter_ns, time.sleep
_select = select.select
_randbits, _choice, _token_bytes = secrets.randbits, secrets.choice, secrets.token_bytes


def monotonic_ns() -> int:
    world = virtual_time()
    return _monotonic_ns() if world is None else world.now_ns


def monotonic() -> float:
    world = virtual_time()
    return _monotonic() if world is None else world.now_ns / NS


def perf_counter_ns() -> int:
    world = virtual_time()
    return _perf_counter_ns() if world is None else world.now_ns


def perf_counter() -> float:
    world = virtual_time()
    return _perf_counter() if world is None else world.now_ns / NS


def time_ns() -> int:
    world = virtual_time()
    return _time_ns() if world is None else world.now_ns + world.offset_ns


def time_s() -> float:
    world = virtual_time()
    return _time() if world is None else (world.now_ns + world.offset_ns) / NS


def sleep(seconds: float) -> None:
    world = virtual_time()
    if world is None:
        _sleep(seconds)
    else:
        world.sleep(seconds)


def select_ready(
    reading: Any, writing: Any, special: Any, timeout: float | None = None
) -> tuple[list[Any], list[Any], list[Any]]:
    world = virtual_time()
    if world is None:
        return _select(reading, writing, special, timeout)
    world.wait(lambda: any(_select(reading, writing, special, 0)), world.after(timeout))
    return _select(reading, writing, special, 0)


def randbits(count: int) -> int:
    world = virtual_time()
    return _randbits(count) if world is None else world.random.getrandbits(count)


def choice(things: Any) -> Any:
    world = virtual_time()
    return _choice(things) if world is None else world.random.choice(things)


def token_bytes(count: int | None = None) -> bytes:
    world = virtual_time()
    return _token_bytes(count) if world is None else world.random.randbytes(count or 32)


CALLS: Final[Sequence[tuple[object, object]]] = (
    (_monotonic, monotonic), (_monotonic_ns, monotonic_ns), (_time, time_s),
    (_time_ns, time_ns), (_perf_counter, perf_counter), (_sleep, sleep),
    (_perf_counter_ns, perf_counter_ns), (_select, select_ready),
    (selectors.DefaultSelector, VirtualSelector), (socket.socket, VirtualSocket),
    (threading.Thread, VirtualThread), (threading.Event, VirtualEvent),
    (threading.Condition, VirtualCondition),
    (futures_thread.ThreadPoolExecutor, VirtualExecutor),
    (os.write, virtualpty.write), (os.openpty, virtualpty.openpty),
    (_randbits, randbits), (_choice, choice), (_token_bytes, token_bytes),
)  # fmt: skip
"""What is real -> what takes its place."""


@contextlib.contextmanager
def replaced(pairs: Sequence[tuple[object, object]]) -> Iterator[None]:
    """For so long the second of each pair stands wherever the HOLDERS have the first.

    Modules that are imported meanwhile find the second one; they are given the first at the end.
    """
    _put(pairs)
    try:
        yield
    finally:
        _put([(other, real) for real, other in pairs])


def _put(pairs: Sequence[tuple[object, object]]) -> None:
    table = {id(one): (one, other) for one, other in pairs}
    for name, module in list(sys.modules.items()):
        if name.startswith(OWN) or not _holds(name) or not isinstance(module, ModuleType):
            continue
        for key, value in list(vars(module).items()):
            if id(value) in table:
                setattr(module, key, table[id(value)][1])
            for function in _functions(value, name):
                _put_defaults(function, table)


def _holds(name: str) -> bool:
    return any(name == one or name.startswith(one + ".") for one in HOLDERS)


def _functions(value: object, module: str) -> Iterator[FunctionType]:
    """Those that are defined in this module."""
    if getattr(value, "__module__", None) != module:
        return
    if isinstance(value, FunctionType):
        yield value
    elif isinstance(value, type):
        for one in vars(value).values():
            found = one.__func__ if isinstance(one, staticmethod | classmethod) else one
            if isinstance(found, FunctionType):
                yield found


def _put_defaults(function: FunctionType, table: Mapping[int, tuple[object, object]]) -> None:
    given, named = function.__defaults__ or (), function.__kwdefaults__ or {}
    if any(id(one) in table for one in given):
        function.__defaults__ = tuple(table.get(id(one), (one, one))[1] for one in given)
    if any(id(one) in table for one in named.values()):
        function.__kwdefaults__ = {
            key: table.get(id(one), (one, one))[1] for key, one in named.items()
        }
