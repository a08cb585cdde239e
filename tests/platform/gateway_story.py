"""The life of a gateway, invented: every record it made, what it sealed, and what it declared lost.

Manifests are made by the gateway's own code.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from edge.core import Draft, Record, RecordKey, Stream
from edge.core.numbers import encode_steps
from edge.uplink.manifests import Manifests, Sign
from edge.wire.contract.boxevent import PreviousEpoch
from tests.kit.asread import as_read
from tests.kit.records import S, moment

Place = tuple[int, str, int]  # epoch, stream, number
PERIOD = 60


@dataclass
class Story:
    """`records` in the order in which they were handed over."""

    records: list[Record] = field(default_factory=list)
    dropped: dict[Place, Place] = field(default_factory=dict)  # number -> the event that says so
    keep: set[Place] = field(default_factory=set)  # without these nobody could know the rest

    def numbers_of(self, record: Record) -> set[Place]:
        """Its own, and those it covers."""
        key = record.key
        covers = record.body.get("covers", [[key.seq, key.seq, 1]])
        return {
            (key.epoch, str(key.stream), n) for a, b, step in covers for n in range(a, b + 1, step)
        }


def place(record: Record) -> Place:
    return record.key.epoch, str(record.key.stream), record.key.seq


class _Epoch:
    """One start of the daemon, while it runs."""

    def __init__(self, story: Story, epoch: int, boot: int, rng: Random, sign: Sign | None) -> None:
        self.story, self.epoch, self.boot, self.rng = story, epoch, boot, rng
        self.counts: Counter[str] = Counter()
        self.manifests = Manifests(sign)
        self.waiting: list[Record] = []
        self.register = rng.randrange(1000)  # steps of the meter, at the end of the last period

    def number(self, draft: Draft) -> Record:
        self.counts[str(draft.stream)] += 1
        key = RecordKey(self.epoch, draft.stream, self.counts[str(draft.stream)])
        return Record(key, draft.source, self.boot, draft.from_ns, draft.to_ns, as_read(draft))

    def hand_over(self, record: Record) -> None:
        self.story.records.append(record)
        if record.key.stream is not Stream.MANIFEST:
            self.manifests.handed(record, moment(record))

    def event(self, at: int, body: Mapping[str, Any]) -> Record:
        return self.number(Draft(Stream.EVENT, "gateway", at * S, at * S, body))

    def period(self, at: int, sources: int) -> None:
        names = [(Stream.AIR, f"s{n}") for n in range(sources)] + [(Stream.ENERGY, "meter")]
        for stream, source in names:
            body: dict[str, Any] = {"covered_s": float(PERIOD), "x": self.rng.random(), "n": at}
            if source == "meter":
                body["points"] = {"imported": self.grown()}
            self.waiting.append(self.number(Draft(stream, source, at * S, (at + PERIOD) * S, body)))

    def grown(self) -> dict[str, float]:
        """The register of the meter after one more period."""
        before, self.register = self.register, self.register + self.rng.randrange(3)
        steps = {"first": before, "last": self.register, "delta": self.register - before}
        return {"step": 0.5, **{name: 0.5 * count for name, count in steps.items()}}

    def downsample(self) -> None:
        """The waiting records of one source become one."""
        mine = [r for r in self.waiting if r.source == "s0"]
        if len(mine) < 2:
            return
        last = mine[-1]
        numbers = {n for r in mine for _, _, n in self.story.numbers_of(r)}
        body = {**last.body, "covers": encode_steps(numbers)}
        merged = Record(last.key, "s0", self.boot, mine[0].from_ns, last.to_ns, body)
        self.waiting = [r for r in self.waiting if r.source != "s0"] + [merged]
        self.waiting.sort(key=lambda r: r.key.seq)

    def drop(self, at: int) -> None:
        """The oldest waiting record of energy is lost, and an event says so, and the hole."""
        mine = [r for r in self.waiting if r.source == "meter"]
        if not mine:
            return
        lost = mine[0]
        self.waiting.remove(lost)
        seq = lost.key.seq
        reported = self.event(at, {
            "event": "drop", "epoch_of": self.epoch, "stream_of": "energy", "reason": "full",
            "range": [seq, seq], "count": 1, "text": "",
        })  # fmt: skip
        self.story.dropped[place(lost)] = place(reported)
        self.waiting.append(reported)

    def flush(self) -> None:
        backlog, self.waiting = self.waiting, []
        if self.rng.random() < 0.5 and len(backlog) > 1:  # live first, then the backlog
            cut = self.rng.randrange(1, len(backlog))
            backlog = backlog[cut:] + backlog[:cut]
        for record in backlog:
            self.hand_over(record)

    def seal(self, at: int) -> list[Record]:
        made = [self.number(draft) for draft in self.manifests.due(at * S, all_=True)]
        for record in made:
            self.hand_over(record)
        return made


def tell(rng: Random, sign: Sign | None = None) -> Story:
    """Up to three starts, in one boot or several."""
    story = Story()
    at, boot, former, register = 0, 1, None, None
    epochs = [((n + 1) << 32) + rng.randrange(1 << 32) for n in range(rng.randrange(1, 4))]
    sources = rng.randrange(1, 4)
    for epoch in epochs:
        life = _Epoch(story, epoch, boot, rng, sign)
        life.register = register if register is not None else life.register
        if former is not None:
            start, before = at, boot
            if rng.random() < 0.5:
                boot, start, at = boot + 1, 0, 5
                life.boot = boot
            else:
                at += rng.randrange(1, 100)
            opening = life.number(life.manifests.opening(epoch, former, at * S))
            life.hand_over(opening)
            gap = {
                "event": "gap", "sources": ["*"], "reason": "restart", "boot_before": before,
                "gap": [start * 1_000_000, at * 1_000_000], "text": "",
            }  # fmt: skip
            reported = life.event(at, gap)
            life.hand_over(reported)
            story.keep |= {place(opening), place(reported)}
        for _ in range(rng.randrange(1, 7)):
            life.period(at, sources)
            at += PERIOD
            if rng.random() < 0.2:
                life.downsample()
            if rng.random() < 0.2:
                life.drop(at)
            if rng.random() < 0.6:
                life.flush()
            if rng.random() < 0.3:
                life.seal(at)
        register = life.register
        life.flush()
        life.seal(at)
        former = PreviousEpoch(epoch=epoch, last=dict(life.counts))
        if epoch in (epochs[0], epochs[-1]):
            for stream in life.counts:
                mine = [r for r in story.records if place(r)[:2] == (epoch, stream)]
                if epoch == epochs[0]:  # where a platform joins, it takes what it gets
                    least = min(
                        (min(story.numbers_of(r)) for r in mine), default=(epoch + 1, "", 0)
                    )
                    story.keep |= {place(r) for r in mine if least in story.numbers_of(r)}
                    before_it = [n for n in story.dropped if n[:2] == (epoch, stream) and n < least]
                    story.keep |= {story.dropped[n] for n in before_it}
                if epoch == epochs[-1]:  # of its end nobody tells but the drop event itself
                    most = max((max(story.numbers_of(r)) for r in mine), default=(0, "", 0))
                    after = [n for n in story.dropped if n[:2] == (epoch, stream) and n > most]
                    story.keep |= {story.dropped[n] for n in after}
                if epoch == epochs[-1] and stream == "manifest":
                    story.keep |= {place(r) for r in mine}
    return story
