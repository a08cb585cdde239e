"""Virtual time for threads: of all that take part one runs at a time, and no time passes meanwhile.

A thread that waits says until when, and what would wake it sooner. Then the next one that may go on
does, in a fixed order; when nobody may, time moves on to the first moment that somebody waits for.
So an hour of waiting takes a moment, and the same threads do the same in each run, to the byte.

    world = VirtualTime(mono_ns=0, wall_ns=0, seed=1)
    with world.conducted():     # this thread takes part for so long
        world.run_until(3600 * S)
"""

import contextlib
import itertools
import random
import threading
from _thread import LockType, allocate_lock
from collections.abc import Callable, Iterator
from typing import Final

FIRST_PORT: Final = 40_000  # for whoever listens on any
SLACK_NS: Final = 50_000  # of the kernel's timers: PR_SET_TIMERSLACK of prctl(2)
TURNS_MAX: Final = 2_000_000  # without any time passing: somebody goes round in a circle


class StandstillError(Exception):
    """Nobody can go on: all wait for ever, or somebody goes round without ever waiting."""


class Participant:
    """One thread. It waits until `until_ns` (None: for ever), or until `ready` says that it may."""

    __slots__ = ("baton", "group", "is_over", "name", "ready", "until_ns")

    def __init__(self, name: str, group: str) -> None:
        self.name, self.group = name, group
        self.baton: LockType = allocate_lock()
        self.baton.acquire()
        self.ready: Callable[[], bool] | None = None
        self.until_ns: int | None = 0
        self.is_over = False


class _Here(threading.local):
    """Which time the present thread lives in; None: the real one."""

    world: "VirtualTime | None" = None
    participant: Participant | None = None


_HERE: Final = _Here()


def virtual_time() -> "VirtualTime | None":
    """That of the present thread, or None for a thread in real time."""
    return _HERE.world


@contextlib.contextmanager
def real_time() -> Iterator[None]:
    """For so long the present thread is served by the real clock. It must not wait for another."""
    world, _HERE.world = _HERE.world, None
    try:
        yield
    finally:
        _HERE.world = world


class VirtualTime:
    """The clock, and who waits for it. `conducted` is for the one thread that lets time pass."""

    def __init__(self, mono_ns: int, wall_ns: int, seed: int) -> None:
        self.now_ns = mono_ns
        self.offset_ns = wall_ns - mono_ns
        self.random = random.Random(seed)  # of all that would be drawn from the machine
        self.still: set[str] = set()  # groups that do not go on, whatever happens
        self.is_aside = False
        self.ports = itertools.count(FIRST_PORT)
        self._participants: list[Participant] = []
        self._next = 0  # whose turn it is to be asked first
        self._turns = 0
        self._conductor = Participant("conductor", "")
        self.fault: BaseException | None = None

    @contextlib.contextmanager
    def conducted(self) -> Iterator[None]:
        """The present thread takes part; the others stand still as soon as it leaves."""
        before = _HERE.world, _HERE.participant
        _HERE.world, _HERE.participant = self, self._conductor
        try:
            yield
        finally:
            _HERE.world, _HERE.participant = before

    def run_until(self, t_ns: int, early: Callable[[], bool] | None = None) -> None:
        """Let the others go on up to then, or until `early` is true. Raises StandstillError."""
        self.wait(early, t_ns)

    @contextlib.contextmanager
    def grouped(self, name: str) -> Iterator[None]:
        """Threads that the conductor starts meanwhile, and all that those start, are this group."""
        before, self._conductor.group = self._conductor.group, name
        try:
            yield
        finally:
            self._conductor.group = before

    @contextlib.contextmanager
    def aside(self, group: str) -> Iterator[None]:
        """Only this group goes on, and the time that passes for it passes for nobody else."""
        now_ns, others = self.now_ns, [o for o in self._participants if o.group != group]
        self._participants = [o for o in self._participants if o.group == group]
        self._next, self.is_aside = 0, True
        try:
            yield
        finally:
            self.now_ns, self.is_aside = now_ns, False
            self._participants = [*others, *self._participants]
            self._next = 0

    # -- of a thread that takes part --------------------------------------------------------------

    def wait(self, ready: Callable[[], bool] | None, until_ns: int | None) -> None:
        """Let others go on until `ready` says so, or it is `until_ns`; None: for ever."""
        me = _HERE.participant
        assert me is not None, "this thread takes no part"
        me.ready, me.until_ns = ready, until_ns
        chosen = self._choose()
        if chosen is not me:
            chosen.baton.release()
            me.baton.acquire()
        if self.fault is not None and me is self._conductor:
            fault, self.fault, self._turns = self.fault, None, 0
            raise fault

    def sleep(self, seconds: float) -> None:
        self.wait(None, self.after(seconds))

    def after(self, seconds: float | None) -> int | None:
        """When who waits so many seconds is woken; None for None.

        As with the kernel that is a little later: a device that needs 20 ms has then had them.
        """
        if seconds is None or seconds <= 0:
            return None if seconds is None else self.now_ns
        return self.now_ns - int(-seconds * 1_000_000_000 // 1) + SLACK_NS

    def join_in(self, name: str) -> Participant:
        """A thread that will take part: it has its first turn when `begin` is called in it. Its
        group is that of the thread that starts it."""
        starter = _HERE.participant
        one = Participant(name, "" if starter is None else starter.group)
        self._participants.append(one)
        return one

    def begin(self, one: Participant) -> None:
        """In the new thread, first of all."""
        one.baton.acquire()
        _HERE.world, _HERE.participant = self, one

    def leave(self, one: Participant) -> None:
        """In the thread that ends, last of all."""
        _HERE.world = _HERE.participant = None
        one.is_over = True
        at = self._participants.index(one)
        del self._participants[at]
        self._next -= at < self._next
        self._choose().baton.release()

    @property
    def names(self) -> list[str]:
        """Who takes part now."""
        return [one.name for one in self._participants]

    def _choose(self) -> Participant:
        """Who goes on. The conductor comes last: first all happens that can at this moment."""
        people, conductor, now_ns = self._participants, self._conductor, self.now_ns
        order = [*people[self._next :], *people[: self._next]]
        if self.still:
            order = [one for one in order if one.group not in self.still]
        for one in order:
            until_ns = one.until_ns
            if (until_ns is not None and until_ns <= now_ns) or (one.ready and one.ready()):
                self._turns += 1
                if self._turns > TURNS_MAX:
                    return self._stopped(
                        f"no time passes: one of {', '.join(self.names)} goes round"
                    )
                return self._turn_of(one)
        self._turns = 0
        until_ns = conductor.until_ns
        if (until_ns is not None and until_ns <= now_ns) or (conductor.ready and conductor.ready()):
            return conductor
        moments = [one.until_ns for one in (*order, conductor) if one.until_ns is not None]
        if not moments:
            return self._stopped(f"all wait for ever: {', '.join(self.names)}")
        self.now_ns = now_ns = min(moments)  # nobody ran since they were asked: it is time alone
        return next((self._turn_of(one) for one in order if one.until_ns == now_ns), conductor)

    def _turn_of(self, one: Participant) -> Participant:
        self._next = self._participants.index(one) + 1
        return one

    def _stopped(self, why: str) -> Participant:
        self.fault = StandstillError(why)
        return self._conductor
