"""The outbox is rolled back while the wires go on: energy is counted once, or said to be uncertain.

A store is put back to how it lay after each of its commits, a bit of its log flips at each commit;
the run directory stays (killed and started again) or is gone (the power was cut). What was
committed meanwhile has been sent: the city has it.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from edge.core import Record, Stream
from edge.outbox import StoredRecord
from edge.outbox.highwater import HIGHWATER_NAME as MARK
from tests.crash.changing import RATE, RUN_S, ChangingStorage, ConfiguredLife, high
from tests.crash.configs import BUSES, Config
from tests.kit.rolledback import commits, flip
from tests.long import one_in

METER = '[device.main_meter]\ndriver = "sdm120"\nbus = "meters"\nunit = 1\n'
PULSES = '[device.heat]\nbus = "loops"\nactive = "high"\ndriver = "s0"\nline = "a"\n'
DOOR = '[device.yard]\nbus = "loops"\ndriver = "contact"\nline = "b"\nevent = "door"\n'
SITE = Config(5, raw=False, raw_commit_s=60, models=False, parts=(METER, PULSES, DOOR), buses=BUSES)
GOOD = {"good"}


class Copied(ConfiguredLife):
    """Keeps a copy of the store after each commit."""

    def committed(self) -> None:
        folder = self.box.folder / "copies"
        folder.mkdir(exist_ok=True)
        shutil.copytree(self.box.store, folder / f"{len(list(folder.iterdir())):03}")


def prepared(folder: Path) -> tuple[ChangingStorage, list[Path], list[Record]]:
    """A box that was killed in its second start, the copies of that start, and what was sent."""
    (folder / "run").mkdir()
    box = ChangingStorage(folder)
    assert ConfiguredLife(box, SITE).live(RUN_S)
    box.now_ns += 500_000_000
    assert not Copied(box, SITE).live(4 * RUN_S, stop=False)
    kept = folder / "kept"
    shutil.copytree(box.store, kept)
    sent = box.records()
    shutil.rmtree(box.store)
    kept.rename(box.store)
    return box, sorted((folder / "copies").iterdir()), sent


def grown(records: Sequence[Record], source: str, *, good: bool) -> float:
    """What the records of a meter say it has grown; of those of which all is good, or of all."""
    points = (r.body["points"]["energy_import"] for r in records if r.source == source)
    if good:
        points = (point for point in points if point["quality"].keys() == GOOD)
    return sum(point["delta"] or 0 for point in points)


def by_key(*records: Sequence[Record]) -> list[Record]:
    """What the city has stored: each key once."""
    return list({r.key: r for each in records for r in each if r.key.stream != "raw"}.values())


def summaries(records: Sequence[Record]) -> list[Record]:
    return [r for r in records if "points" in r.body]


def true_kwh(box: ChangingStorage, begin_ns: int) -> dict[str, float]:
    """What there was in all this time."""
    step = 10_000_000
    rises = sum(
        high("a", at) and not high("a", at - step) for at in range(begin_ns, box.now_ns, step)
    )
    return {"main_meter": RATE * ((box.now_ns - begin_ns) / 1e9 + 1), "heat": rises / 1000}


def looked(box: ChangingStorage, sent: Sequence[Record], begin_ns: int) -> list[Record]:
    """All records; none counts more than there was, and the doubt is told."""
    new = box.records()
    both = by_key(sent, new)
    for source, true in true_kwh(box, begin_ns).items():
        assert grown(summaries(both), source, good=True) <= true + 1e-9, source
    return [record for record in new if record.key not in {r.key for r in sent}]


def harmed(whole: Path, copies: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Each way in which the store can be rolled back, and the store that it leaves."""
    for number, copy in enumerate(copies[:-1]):
        yield f"copy {number}", copy
    ends = commits(whole / "outbox.db-wal")
    for number, at in enumerate(ends):
        flipped = whole.with_name("flipped")
        shutil.copytree(whole, flipped)
        flip(flipped / "outbox.db-wal", at + 40)
        yield f"bit in commit {number} of {len(ends)}", flipped
        shutil.rmtree(flipped)


@one_in(2)
@pytest.mark.parametrize("reboot", [False, True])
def test_energy_is_not_counted_twice_whatever_the_store_is_rolled_back_to(
    tmp_path: Path, reboot: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    begin_ns = ChangingStorage(tmp_path).now_ns
    box, copies, sent = prepared(tmp_path)
    now_ns, run, whole = box.now_ns, tmp_path / "run-kept", tmp_path / "whole"
    shutil.copytree(tmp_path / "run", run)
    shutil.copytree(box.store, whole)
    pasts: dict[str, int] = {}
    for what, store in harmed(whole, copies):
        shutil.rmtree(box.store)
        shutil.copytree(store, box.store)
        # what stands beside the database was not put back with it
        for name in ("epochs", "highwater"):
            shutil.copy(whole / name, box.store / name)
        shutil.rmtree(tmp_path / "run")
        shutil.copytree(run, tmp_path / "run")
        box.now_ns, box.boot = now_ns + 3_000_000_000, 1
        if reboot:
            box.reboot()
        life = ConfiguredLife(box, SITE)
        past = life.kept.epoch.past
        pasts[past] = pasts.get(past, 0) + 1
        assert not life.live(RUN_S, stop=False), what
        if past == "known":
            assert reboot, what  # of less than a quarter of an hour nobody can know: decision 33
            assert what.startswith("copy"), what
            continue
        new = looked(box, sent, begin_ns)
        reported = [r.body["event"] for r in new if r.key.stream is Stream.EVENT]
        assert "storage" in reported, what
        assert "gap" in reported, what
        for source in ("main_meter", "heat"):
            first = next(r for r in new if r.source == source and "points" in r.body)
            assert "uncertain:gap" in first.body["points"]["energy_import"]["quality"], what
        if past == "older":
            assert "door" in reported, what
    with capsys.disabled():
        print(f"\nrolled back: {pasts}")
    assert pasts.keys() >= {"older"}


class FailingCardLife(ConfiguredLife):
    """Its card takes nothing any more after some commits, not even a word; `sent` is all that was
    committed, wherever it lay."""

    def __init__(self, box: ChangingStorage, config: Config, commits_left: int) -> None:
        super().__init__(box, config)
        self.sent: list[Record] = []
        self._commits_left, commit = commits_left, self.kept.outbox.commit

        def seen(*args: Any, **reported: Any) -> list[StoredRecord]:
            stored = commit(*args, **reported)
            self.sent += (each.record for each in stored)
            return stored

        self.kept.outbox.commit = seen  # type: ignore[method-assign]

    def committed(self) -> None:
        self._commits_left -= 1
        if self._commits_left == 0:
            mark = self.box.store / MARK
            mark.rename(mark.with_name("kept"))
            mark.mkdir()
            self.kept.outbox._storage.switch_to_memory(OSError(30, "Read-only file system"))
            self.kept.outbox._storage.probe = lambda *_, **__: None  # type: ignore[method-assign]


@pytest.mark.parametrize("commits", [2, 4])
def test_a_power_cut_on_a_card_that_took_not_even_the_word_counts_nothing_twice(
    tmp_path: Path, commits: int
) -> None:
    """Nothing on it tells that growth was counted, and sent, that it does not know."""
    (tmp_path / "run").mkdir()
    box = ChangingStorage(tmp_path)
    begin_ns = box.now_ns
    assert ConfiguredLife(box, SITE).live(RUN_S)
    box.now_ns += 500_000_000
    failing = FailingCardLife(box, SITE, commits)
    assert not failing.live(5 * RUN_S, stop=False)
    (box.store / MARK).rmdir()
    (box.store / "kept").rename(box.store / MARK)
    box.reboot()
    box.now_ns += 3_000_000_000
    assert not ConfiguredLife(box, SITE).live(RUN_S, stop=False)
    both = summaries(by_key(failing.sent, box.records()))
    for source, true in true_kwh(box, begin_ns).items():
        # the window in whose commit it failed had been made when nobody knew
        window = RATE * SITE.period_s if source == "main_meter" else 0.005
        assert grown(both, source, good=True) <= true + window + 1e-9, source
    doubted = [r for r in summaries(failing.sent) if r.source == "main_meter"][-5:]
    reported = [each.body["points"]["energy_import"]["quality"] for each in doubted]
    assert all(each.keys() == {"good", "uncertain:gap"} for each in reported), reported
    texts = [r.body["text"] for r in failing.sent if r.body.get("event") == "storage"]
    assert sum("not even" in text for text in texts) == 1, texts
