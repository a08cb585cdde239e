"""The box and its clock: files of a Raspberry Pi, well and not."""

import os
from collections.abc import Callable

from edge.core.release import RELEASED_NS
from edge.diagnose.checks import CheckId
from edge.health.board import Space
from edge.kernelclock import Discipline
from tests.diagnose.bench import Answers, Bench, clean, fault_of

YEAR_S = 365 * 86_400
SICK: dict[CheckId, dict[str, str]] = {
    "power": {"sys__class__hwmon__hwmon1__in0_lcrit_alarm": "1\n"},
    "throttled": {"sys__devices__platform__soc__soc:firmware__get_throttled": "4\n"},
    "temperature": {"sys__class__thermal__thermal_zone1__temp": "84300\n"},
    "memory": {"proc__meminfo": "MemTotal: 427464 kB\nMemAvailable: 21000 kB\n"},
    "card": {"sys__fs__ext4__mmcblk0p3__errors_count": "3\n"},
}


def sick(check: CheckId) -> Callable[[Bench], Answers]:
    def case(bench: Bench) -> Answers:
        bench.kernel(**SICK[check])
        return bench.ask(check, bench.site())

    return case


def well(check: CheckId) -> Callable[[Bench], Answers]:
    def case(bench: Bench) -> Answers:
        bench.kernel()
        return bench.ask(check, bench.site())

    return case


for each in SICK:
    fault_of(each)(sick(each))
    clean(each)(well(each))


@fault_of("disk_writable")
def mounted_read_only(bench: Bench) -> Answers:
    mounts = f"30 22 179:3 / {bench.tmp_path} ro - ext4 /dev/mmcblk0p3 ro\n"
    bench.kernel(proc__self__mountinfo=mounts)
    return bench.ask("disk_writable", bench.site())


clean("disk_writable")(well("disk_writable"))


@fault_of("disk_room")
def nearly_full(bench: Bench) -> Answers:
    bench.kernel()
    full = Space(free=10 << 20, total=30 << 30)
    bench.monkeypatch.setattr("edge.health.boxalarms.read_space", lambda folder: full)
    return bench.ask("disk_room", bench.site())


@clean("disk_room")
def half_empty(bench: Bench) -> Answers:
    bench.kernel()
    room = Space(free=15 << 30, total=30 << 30)
    bench.monkeypatch.setattr("edge.health.boxalarms.read_space", lambda folder: room)
    return bench.ask("disk_room", bench.site())


def disciplined(bench: Bench, synced: bool, up_s: int = 3700) -> None:
    known = Discipline(synced, 1500)
    bench.monkeypatch.setattr("edge.diagnose.wholeway.boottime_ns", lambda: up_s * 10**9)
    bench.monkeypatch.setattr("edge.diagnose.wholeway.discipline", lambda: known)


@fault_of("clock_synced")
def free_running(bench: Bench) -> Answers:
    bench.kernel()
    disciplined(bench, synced=False)
    return bench.ask("clock_synced", bench.site())


@clean("clock_synced")
def synchronised(bench: Bench) -> Answers:
    bench.kernel()
    disciplined(bench, synced=True)
    return bench.ask("clock_synced", bench.site())


@fault_of("clock_source")
def nobody_sets_it(bench: Bench) -> Answers:
    bench.kernel(proc__77__comm="bash\n")
    disciplined(bench, synced=False)
    return bench.ask("clock_source", bench.site())


clean("clock_source")(well("clock_source"))


@fault_of("clock_right")
def before_what_has_passed(bench: Bench) -> Answers:
    """timesyncd leaves the last time it knew on the disk: the clock stands years before it."""
    root = bench.kernel()
    mark = root / "var/lib/systemd/timesync/clock"
    mark.parent.mkdir(parents=True)
    mark.touch()
    later_s = RELEASED_NS // 1_000_000_000 + 10 * YEAR_S
    os.utime(mark, (later_s, later_s))
    return bench.ask("clock_right", bench.site())


clean("clock_right")(well("clock_right"))
