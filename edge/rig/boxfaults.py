"""Faults of the broker, of the way to it, and of the box itself, and what the rig sees of them.

A power cut here is that of the process and of what it keeps in memory: its disk is this machine's,
and loses nothing that was written. What it loses of a real card shows on `qemu`.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from edge.rig.boxprocess import BoxUnderTest
from edge.rig.brokerlink import BrokerLink, LinkFault, LinkMode
from edge.rig.brokerquota import QuotaProxy
from edge.rig.layer import LayerError, NotHereError
from edge.rig.rigbroker import RigBroker
from edge.rig.runlog import Evidence
from edge.rig.scenario import Fault

MOST: Final = 20  # pieces of evidence of one fault
RESTART_S: Final = 2.0  # as systemd waits before it starts it again (RestartSec)
LINK_MODES: Final[dict[str, LinkMode]] = {
    "down": "down", "black_hole": "black_hole", "latency": "latency", "bandwidth": "bandwidth",
    "chunk_loss": "chunk_loss",
}  # fmt: skip
FINE: Final = LinkFault("fine")


@dataclass(slots=True)
class _Running:
    """A fault in force, or whose traces are looked at. `through` stands still once it is over."""

    fault: Fault
    began: int
    told: list[Evidence] = field(default_factory=list)
    over: bool = False
    through: int = 0
    counted: int = 0
    toggled_s: float = 0.0
    away: bool = False


class FullDisk(Protocol):
    """A disk that can be full. `small`: it is one of its own, and not that of the machine."""

    @property
    def small(self) -> bool: ...
    def fill(self) -> None: ...
    def free(self) -> None: ...
    def free_bytes(self) -> int: ...


class SlowDisk(Protocol):
    """A disk whose flushes can take long, and are counted."""

    def slow(self, flush_s: float) -> None: ...
    def flushes(self) -> int: ...


class LossyNet(Protocol):
    """A network that can lose a share of the box's packets, and counts them; TCP sends them
    again."""

    def lose(self, share: float) -> None: ...
    def dropped(self) -> int: ...


@dataclass(frozen=True, slots=True)
class BoxParts:
    """What is there to be broken. `process` None: a box that somebody else runs; `disk` None: its
    folder is no disk of its own; `slow_disk` None: that of this machine. `cut_power` lets the power
    go, and says what is seen of it. `net` None: it loses no packets. `quota` stands before the
    broker where it has one.
    """

    broker: RigBroker
    link: BrokerLink
    process: BoxUnderTest | None
    disk: FullDisk | None
    cut_power: Callable[[], Iterator[str]]
    has_wall: bool
    slow_disk: SlowDisk | None = None
    net: LossyNet | None = None
    quota: QuotaProxy | None = None


def process_power(process: BoxUnderTest | None, run_dir: Path) -> Iterator[str]:
    """The power of a box that is a process of this machine: what lies in `run_dir` is memory."""
    if process is not None:
        yield f"process {process.kill()} was killed"
    for path in run_dir.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
    yield f"{run_dir}, its memory, is empty"


class BoxFaults:
    """`activity` counts what the rig has put through; `answers`: whether the box speaks now."""

    def __init__(
        self,
        parts: BoxParts,
        now_s: Callable[[], float],
        activity: Callable[[], int],
        answers: Callable[[], bool],
    ) -> None:
        self._parts, self._now_s = parts, now_s
        self._activity, self._answers = activity, answers
        self._running: dict[str, _Running] = {}
        self._start_s: float | None = None  # when a killed box is started again

    def begin(self, fault: Fault) -> None:
        """From now on. Raises LayerError for one that cannot be done here."""
        one = _Running(fault, self._activity())
        match fault.target, fault.kind:
            case "broker", "down" | "flap":
                self._stop_broker(one)
            case "broker", "quota":
                one.counted = self._quota(fault).refused
                self._quota(fault).refuse(True)
            case "broker", "expired_certificate":
                one.counted = self._parts.broker.refused_certificates()
                self._parts.broker.show_certificate(ended=True)
                self._parts.link.reset()  # who is connected has looked at the right one
            case "link", "reset":
                one.counted = self._parts.link.counts.ended
                self._parts.link.reset()
            case "link", kind if kind in LINK_MODES:
                one.counted = self._effect(LINK_MODES[kind])
                self._parts.link.set(LinkFault(LINK_MODES[kind], fault.amount or 0.0))
            case "link", "packet_loss":
                net = self._net(fault)
                one.counted = net.dropped()
                net.lose(fault.amount or 0.0)
            case "gateway" | "power", "kill" | "cut":
                self._kill(one)
            case "gateway", "stop":
                self._process(fault).hold()
            case "disk", "full":
                self._disk(fault).fill()
            case "disk", "slow_fsync":
                disk = self._slow_disk(fault)
                one.counted = disk.flushes()
                disk.slow(fault.amount or 0.0)
            case "clock", "jump":
                self._jump(one)
            case _:
                raise LayerError(f"fault {fault.name}: {fault.target} {fault.kind} cannot be done "
                                 "on this layer")  # fmt: skip
        self._running[fault.name] = one

    def end(self, fault: Fault) -> None:
        """It heals."""
        one = self._running[fault.name]
        self._see(one)
        one.over = True
        match fault.target, fault.kind:
            case "broker", "quota":
                self._quota(fault).refuse(False)
            case "broker", "expired_certificate":
                self._parts.broker.show_certificate(ended=False)
            case "broker", _:
                if one.away:
                    self._start_broker(one)
            case "link", "packet_loss":
                self._net(fault).lose(0.0)
            case "link", _:
                self._parts.link.set(FINE)
            case "disk", "slow_fsync":
                self._slow_disk(fault).slow(0.0)
            case "gateway", "stop":
                self._process(fault).go_on()
            case "disk", "full":
                self._disk(fault).free()

    def tick(self) -> None:
        """What goes on by itself: a broker that comes and goes, a box that is started again."""
        now_s = self._now_s()
        if self._start_s is not None and now_s >= self._start_s:
            self._start_s = None
            if self._parts.process is not None:
                self._parts.process.start()
        for one in self._running.values():
            if one.over or one.fault.kind != "flap":
                continue
            if now_s - one.toggled_s >= (one.fault.amount or 0.0):
                if one.away:
                    self._start_broker(one)
                else:
                    self._stop_broker(one)

    def waits_to_start(self) -> bool:
        """Whether the box is away because a fault has asked for that."""
        return self._start_s is not None

    def evidence(self, fault: Fault) -> tuple[int, Sequence[Evidence]]:
        """What went through since it began, and what was wrong by it."""
        one = self._running.get(fault.name)
        if one is None:
            return 0, []
        self._see(one)
        return one.through, one.told

    # inside

    def _see(self, one: _Running) -> None:
        if one.over:
            return
        one.through = max(0, self._activity() - one.began)
        match one.fault.target, one.fault.kind:
            case "link", "reset":
                ended = self._parts.link.counts.ended - one.counted
                self._tell(one, f"{ended} connections were cut")
                one.over = True
            case "broker", "quota":
                self._see_more(one, self._quota(one.fault).refused, "messages were refused")
            case "broker", "expired_certificate":
                refused = self._parts.broker.refused_certificates()
                self._see_more(one, refused, "connections were ended by who saw the certificate")
            case "link", "packet_loss":
                dropped = self._net(one.fault).dropped()
                self._see_more(one, dropped, "packets that the box sent were lost")
            case "link", kind:
                self._see_link(one, LINK_MODES[kind])
            case "disk", "slow_fsync":
                flushes = self._slow_disk(one.fault).flushes()
                self._see_more(one, flushes, f"flushes took {one.fault.amount:g} s each")
            case "gateway" | "power", "kill" | "cut":
                if self._start_s is None and self._answers():
                    self._tell(one, "the box answers again")
                    one.over = True
            case "gateway", "stop":
                process = self._process(one.fault)
                if process.stands_still():
                    self._tell(one, f"process {process.pid} stands still")
            case "disk", "full":
                disk = self._disk(one.fault)
                self._tell(one, f"{disk.free_bytes()} bytes are free")
                disk.fill()  # a box makes room, and what fills its disk goes on

    def _see_more(self, one: _Running, count: int, what: str) -> None:
        if count > one.counted:
            self._tell(one, f"{count - one.counted} {what}")
            one.counted = count

    def _see_link(self, one: _Running, mode: LinkMode) -> None:
        what = {
            "down": "connections were refused or cut",
            "black_hole": "pieces disappeared",
            "chunk_loss": "pieces were lost",
        }.get(mode, "pieces came later")
        self._see_more(one, self._effect(mode), what)

    def _effect(self, mode: LinkMode) -> int:
        counts = self._parts.link.counts
        match mode:
            case "down":
                return counts.refused + counts.ended
            case "black_hole" | "chunk_loss":
                return counts.swallowed
        return counts.delayed

    def _stop_broker(self, one: _Running) -> None:
        self._parts.broker.stop()
        one.away, one.toggled_s = True, self._now_s()
        self._tell(one, "the broker has stopped, and its connections with it")

    def _start_broker(self, one: _Running) -> None:
        self._parts.broker.start()
        one.away, one.toggled_s = False, self._now_s()
        self._tell(one, "the broker listens again")

    def _kill(self, one: _Running) -> None:
        process = self._process(one.fault)
        if one.fault.target == "power":
            for text in self._parts.cut_power():
                self._tell(one, text)
        else:
            self._tell(one, f"process {process.kill()} was killed")
        self._start_s = self._now_s() + RESTART_S

    def _jump(self, one: _Running) -> None:
        process, by_s = self._process(one.fault), one.fault.amount or 0.0
        if not self._parts.has_wall:
            raise LayerError(f"fault {one.fault.name}: the clock of this box cannot be set")
        beside_s = process.set_wall(by_s)
        self._tell(one, f"its wall clock was set by {by_s:+g} s, and stands {beside_s:+g} s beside "
                   "that of this machine")  # fmt: skip

    def _process(self, fault: Fault) -> BoxUnderTest:
        if self._parts.process is None:
            raise NotHereError(f"fault {fault.name}: the box is not the rig's: nobody here can do "
                               "that to it")  # fmt: skip
        return self._parts.process

    def _quota(self, fault: Fault) -> QuotaProxy:
        if self._parts.quota is None:
            raise LayerError(f"fault {fault.name}: nothing before the broker can refuse")
        return self._parts.quota

    def _disk(self, fault: Fault) -> FullDisk:
        disk = self._parts.disk
        if disk is None or not disk.small:
            raise NotHereError(f"fault {fault.name}: a disk that can be full needs root: a small "
                               "file system is mounted for it")  # fmt: skip
        return disk

    def _slow_disk(self, fault: Fault) -> SlowDisk:
        if self._parts.slow_disk is None:
            raise LayerError(f"fault {fault.name}: the disk of this layer is that of this machine")
        return self._parts.slow_disk

    def _net(self, fault: Fault) -> LossyNet:
        if self._parts.net is None:
            raise LayerError(f"fault {fault.name}: this layer loses no packets")
        return self._parts.net

    def _tell(self, one: _Running, text: str) -> None:
        if len(one.told) < MOST:
            one.told.append(Evidence(t_s=self._now_s(), text=text))
