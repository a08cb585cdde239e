"""What a process does that is killed at a system call. Prepared once, played in forked children.

`python -m tests.crash.scenes` reads lines `SCENE FOLDER`, forks a child for each and prints its
number. The child stops itself, to be traced; SIGCONT lets it play. How far it has come stands in
one shared byte, which costs no system call.
"""

import mmap
import os
import random
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.core import Draft, Stamp, Stream
from edge.durable.atomicwrite import replace_file
from edge.gateway.lastgood import LastGood, StartHistory, file_digest
from edge.gateway.sitefile import SiteFile
from edge.gateway.trialstate import WorkingParts
from edge.identity.configoutcome import ConfigOutcome
from edge.outbox import Outbox
from edge.outbox.deliveryjournal import COMPACT_BYTES
from edge.outbox.epochs import EpochFile, read_epoch_file, write_epoch_file
from edge.outbox.eviction import EVICT_MARGIN_BYTES
from tests.crash.swaps import SWAPPED
from tests.kit.clock import NONE
from tests.kit.promises import merge

LIMIT: Final = 1 << 20
S: Final = 1_000_000_000
FAR: Final = "far"  # the file of the shared byte
ENDED: Final = 255
OLD, NEW = b"# old\n" * 300, b"# new\n" * 700
APPLIED: Final = b"# applied\n" * 500


@dataclass(frozen=True, slots=True)
class Act:
    """One commit, and how many of the oldest rows are confirmed before it."""

    drafts: Sequence[Draft]
    states: dict[str, tuple[int, bytes]]
    confirm: int = 0


@dataclass(frozen=True, slots=True)
class OutboxScene:
    """`before` makes the folder, in the test; `acts` follow open and begin, in the child."""

    acts: Sequence[Act]
    before: Callable[[Path], None] | None = None
    harm: Callable[[Path], None] | None = None  # between the two
    long_journal: bool = False


def drafts(count: int, at: int, stream: Stream = Stream.AIR, size: int = 60) -> list[Draft]:
    rng = random.Random(at)
    return [
        Draft(
            stream, f"s{n % 3}", (at + n) * S, (at + n + 1) * S,
            {"n": at + n, "x": rng.randbytes(size)},
        )
        for n in range(count)
    ]  # fmt: skip


def opened(folder: Path) -> Outbox:
    (folder / "run").mkdir(exist_ok=True)
    return Outbox.open(
        folder / "store",
        limit_bytes=LIMIT,
        boot_id="b1",
        run_dir=folder / "run",
        merge=merge,
        ballast_bytes=8192,
    )


def mark(at: int) -> Stamp:
    return Stamp(at * S, at * S, NONE)


def _some(folder: Path) -> None:
    outbox = opened(folder)
    outbox.begin()
    outbox.commit([*drafts(12, 0), *drafts(3, 20, Stream.EVENT)], {"x": (1, b"0")}, clock=mark(99))
    outbox.close()


def _full(folder: Path) -> None:
    """Until rows have to go."""
    outbox = opened(folder)
    outbox.begin()
    at = 1000
    while outbox.counts().dropped == 0:
        outbox.commit(drafts(10, at, size=900), {"x": (1, b"0")}, clock=mark(at))
        at += 10
    outbox.close()


def minutes(at: int) -> list[Draft]:
    """What three sources have to say of a minute."""
    rng = random.Random(at)
    return [
        Draft(Stream.AIR, source, (at - 1) * 60 * S, at * 60 * S,
              {"n": at, "sum": rng.randrange(1 << 40), "count": 1, "x": rng.randbytes(700)})
        for source in "abc"
    ]  # fmt: skip


def _week(folder: Path) -> None:
    """Without a link, until there is no room for many more minutes."""
    outbox = opened(folder)
    outbox.begin()
    at = 1000
    while outbox._storage.disk is not None and outbox._storage.disk.room() > EVICT_MARGIN_BYTES + (
        10 << 10
    ):
        outbox.commit(minutes(at), {"x": (1, b"0")}, clock=mark(at * 60))
        at += 1
    outbox.close()


def _harm(folder: Path) -> None:
    path = folder / "store" / "outbox.db"
    data = bytearray(path.read_bytes())
    data[2048 : len(data) // 2] = bytes(len(data) // 2 - 2048)
    path.write_bytes(data)
    (folder / "store" / "outbox.db-wal").write_bytes(b"what was left of it")


SCENES: Final[dict[str, OutboxScene]] = {
    "first start": OutboxScene([Act(drafts(3, 5000), {"x": (1, b"1")})]),
    "commit": OutboxScene(
        [
            Act(drafts(4, 5000), {"x": (1, b"1"), "y": (1, b"1" * 900)}, 3),
            Act([*drafts(1, 5100, Stream.EVENT), *drafts(2, 5200, Stream.RAW)], {"x": (1, b"2")}),
            Act(drafts(30, 5300, size=300), {"x": (1, b"3")}, 4),
        ],
        _some,
    ),
    "making room": OutboxScene(
        [
            Act(drafts(20, 50_000, size=900), {"x": (1, b"1")}),
            Act(drafts(20, 50_100, size=900), {"x": (1, b"2")}),
        ],
        _full,
    ),
    "downsampling": OutboxScene(
        [
            Act([d for at in range(50_000, 50_030) for d in minutes(at)], {"x": (1, b"1")}),
            Act([d for at in range(51_000, 51_030) for d in minutes(at)], {"x": (1, b"2")}),
        ],
        _week,
    ),
    "quarantine": OutboxScene(
        [Act(drafts(2, 5000), {"x": (1, b"1")}), Act(drafts(2, 5100), {"x": (1, b"2")}, 1)],
        _some,
        _harm,
    ),
    "journal rewrite": OutboxScene(
        [Act(drafts(2, 5000), {"x": (1, b"1")}, 3), Act(drafts(2, 5100), {"x": (1, b"2")}, 2)],
        _some,
        long_journal=True,
    ),
}


def become_good(folder: Path) -> None:
    """A site file that has run well takes the place of the last good one."""
    good = LastGood(folder / "store", folder / "site.toml", load=_no_site, use=_no_site)
    good.choose(1)
    good.is_good()


def _no_site(file: Path) -> Any:
    return None


def next_epoch_file(folder: Path) -> None:
    write_epoch_file(folder / "store", EpochFile(8, 3, "b2", 800))


def config_confirmed(folder: Path) -> None:
    """A configuration is applied as a transaction, runs, and is good."""
    good = _config_applied(folder)
    good.is_good(7)
    SiteFile(folder / "site.toml").settle(_outcome("confirmed"))


def config_rolled_back(folder: Path) -> None:
    """It is applied, runs, is rolled back, and the former file is put back."""
    good = _config_applied(folder)
    good.trials.reject(file_digest(APPLIED), "blind", "hut_air cannot be read", 7)
    SiteFile(folder / "site.toml").settle(_outcome("rolled_back"))


def config_left(folder: Path) -> None:
    """It is applied, runs, and a person puts another file in its place."""
    good = _config_applied(folder)
    good.stopped()
    replace_file(folder / "site.toml", NEW)
    edited = _last_good(folder)
    edited.choose(1, 1)
    edited.stopped()


def config_applied_alone(folder: Path) -> None:
    """It was rolled back, and is applied again while no daemon runs."""
    good = _config_applied(folder)
    good.trials.reject(file_digest(APPLIED), "blind", "hut_air cannot be read", 7)
    file = SiteFile(folder / "site.toml")
    file.replace(APPLIED, file.digest, told=False)
    again = _last_good(folder)
    again.choose(1, 1)
    again.is_good(7)


def _config_applied(folder: Path) -> LastGood:
    file, running = SiteFile(folder / "site.toml"), _last_good(folder)
    running.trials.read()
    running.trials.open(file_digest(APPLIED), WorkingParts(("hut_air",)), confirm_s=600)
    file.replace(APPLIED, file.digest)
    running.stopped(WorkingParts(("hut_air",)))
    taken = _last_good(folder)
    taken.choose(1, 1)
    return taken


def _last_good(folder: Path) -> LastGood:
    return LastGood(
        folder / "store", folder / "site.toml", load=_some_site, use=_some_site, boot="b"
    )


def _some_site(file: Path) -> Any:
    return file.read_bytes()


def _outcome(state: str) -> ConfigOutcome:
    return ConfigOutcome(digest=file_digest(APPLIED), state=state, reason="blind")


REPLACED: Final[dict[str, Callable[[Path], None]]] = {
    "last good configuration": become_good,
    "epoch_file": next_epoch_file,
    "configuration confirmed": config_confirmed,
    "configuration rolled back": config_rolled_back,
    "configuration left for another file": config_left,
    "configuration applied without a daemon": config_applied_alone,
}


def before_it_is_replaced(folder: Path) -> None:
    """The old files, and the site file that is about to become the good one."""
    (folder / "store").mkdir()
    (folder / "site.toml").write_bytes(OLD)
    become_good(folder)
    (folder / "site.toml").write_bytes(NEW)
    write_epoch_file(folder / "store", EpochFile(7, 3, "b2", 700))


def replaced_well(name: str, folder: Path) -> list[str]:
    """What is neither the old one nor the new one."""
    store, wrong = folder / "store", []
    if read_epoch_file(store).epoch not in ({700, 800} if name == "epoch_file" else {700}):
        wrong.append(f"the epoch file is {read_epoch_file(store)}")
    if name.startswith("configuration"):
        return wrong + _changed_well(folder, name)
    good = (store / "last_good.toml").read_bytes()
    if good not in ((OLD,) if name == "epoch_file" else (OLD, NEW)):
        wrong.append(f"the last good configuration is {good!r:.60}")
    if not StartHistory.parse((store / "start_history").read_bytes()).digest:
        wrong.append("what the starts came to is gone")
    return wrong


def _changed_well(folder: Path, name: str) -> list[str]:
    """The next start of all runs the one or the other, and knows what it is."""
    site, good = (folder / "site.toml").read_bytes(), (folder / "store/last_good.toml").read_bytes()
    ends_well = ("configuration confirmed", "configuration applied without a daemon")
    allowed = (OLD, APPLIED) if name in ends_well else (OLD,)
    wrong = [] if good in allowed else [f"the last good configuration is {good!r:.60}"]
    if site not in (NEW, APPLIED):
        wrong.append(f"the site file is {site!r:.60}")
    start = _last_good(folder)
    runs: Any = start.choose(1, 1)
    trials, digest = start.trials, file_digest(APPLIED)
    if site == APPLIED and good != APPLIED:
        rejected = trials.rejected(digest)
        if rejected is None and trials.on_trial(digest) is None:
            wrong.append("a file that was applied is nobody's")
        if runs != (APPLIED if rejected is None else OLD):
            wrong.append(f"{runs!r:.60} runs")
    elif runs != site:
        wrong.append(f"{runs!r:.60} runs in place of the file")
    if site != APPLIED and trials.state.trial is not None:
        wrong.append("a trial is open, and its file is not there")
    return wrong


def play(scene: OutboxScene, folder: Path, far: mmap.mmap) -> None:
    """In the child."""
    outbox = opened(folder)
    outbox.begin()
    if scene.long_journal:
        outbox.journal.sent(range(1 << 50, (1 << 50) + COMPACT_BYTES // 8))
    for number, act in enumerate(scene.acts, 1):
        rows = [stored.row for stored in outbox.pending(0, max(1, act.confirm))][: act.confirm]
        outbox.journal.sent(rows)
        outbox.journal.confirmed(rows)
        outbox.commit(act.drafts, act.states, rows, mark(10_000 + number))
        far[0] = number
        outbox.journal.retain_only(())
    outbox.close()
    far[0] = ENDED


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    for line in sys.stdin:
        name, _, folder = line.rstrip("\n").partition("\t")
        with (Path(folder) / FAR).open("r+b") as file:
            far = mmap.mmap(file.fileno(), 1)
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            if name in (others := {**REPLACED, **SWAPPED}):
                others[name](Path(folder))
                far[0] = ENDED
            else:
                play(SCENES[name], Path(folder), far)
            os._exit(0)
        far.close()
        print(child, flush=True)


if __name__ == "__main__":
    main()
