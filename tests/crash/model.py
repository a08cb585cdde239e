"""What must be in an outbox, by what was said of it. `check` tells in sentences what is wrong."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge.core import Record, RecordKey
from edge.core.numbers import decode_steps
from edge.outbox import Epoch, Outbox, StoredRecord
from edge.outbox.drops import PendingDrops
from tests.kit.asread import as_read
from tests.kit.promises import OutboxPromises, Place, everything, ours, packed


@dataclass(slots=True)
class CheckFindings:
    """What a check has seen."""

    wrong: list[str] = field(default_factory=list)
    lost: int = 0  # acknowledged, not confirmed, not there, not declared
    twice: int = 0
    declared: int = 0
    over: int = 0  # declared lost, and neither lost nor perhaps part of a commit under way
    merged: int = 0  # numbers that another record covers


class Model(OutboxPromises):
    """One outbox over all of its starts, and what is found in it after each death."""

    def check(
        self, outbox: Outbox, epoch: Epoch, *, killed: bool, lies: bool = False
    ) -> CheckFindings:
        """Everything that is there against everything that was said; then the new truth.

        `killed`: the process was, with power on, so that the journal knows what was confirmed.
        `lies`: of a card that lies only wrong values are wrong, and numbers may go back.
        """
        found = CheckFindings()
        there = list(everything(outbox))
        self._twice(there, found, killed=killed, lies=lies)
        self._values(there, found, lies=lies)
        if not lies:
            self._numbers(there, outbox, epoch, found)
        self._states(outbox, found, lies=lies)
        self.reported -= {each.record.key for each in there}  # a power cut: to be confirmed again
        if lies:  # what it has lost is lost; what it still has is the new truth
            self.rows.clear()
            self.reported.clear()
            self.settled.clear()
        self._keep(each.record for each in there)
        self.under_way.clear()
        return found

    def _twice(
        self, there: Sequence[StoredRecord], found: CheckFindings, *, killed: bool, lies: bool
    ) -> None:
        counted = Counter(each.record.key for each in there)
        found.twice = sum(count - 1 for count in counted.values())
        if not lies:
            gone = self.reported if killed else self.settled
            found.twice += len(gone & counted.keys())
        if found.twice:
            found.wrong.append(f"{found.twice} rows are there twice, or again after they had left")
        ids = [each.row for each in there]
        if ids != sorted(set(ids)):
            found.wrong.append("rows are not in order")

    def _values(self, there: Sequence[StoredRecord], found: CheckFindings, *, lies: bool) -> None:
        """Every record is what was committed, or is part of a commit that was under way."""
        wishes = {packed(draft) for wish in self.under_way for draft in wish.drafts}
        for each in there:
            record = each.record
            said = self.rows.get(record.key)
            if "covers" in record.body:
                self._merged(record, found, lies=lies)
            elif packed(record) not in (said, *wishes) and not (said is None and ours(record)):
                found.wrong.append(f"{record} is not what was committed")

    def _merged(self, record: Record, found: CheckFindings, *, lies: bool) -> None:
        """A record that others were merged into: what it covers was never handed over, and it is
        their sum. Parts of a commit under way are not known by their numbers."""
        key, covers = record.key, decode_steps(record.body["covers"])
        parts = [RecordKey(key.epoch, key.stream, seq) for seq in covers]
        for part in parts:
            if part in self.handed and self.handed[part] != packed(record) and not lies:
                found.wrong.append(f"{part} was handed over, and then merged into {key}")
        known = [self._sums[part] for part in parts if part in self._sums]
        total, unknown = sum(known), len(parts) - len(known)
        if unknown == 0 and record.body["sum"] != total:
            found.wrong.append(f"{record} is not the sum {total} of what it covers")
        if unknown and not self.under_way and not lies:
            found.wrong.append(f"{record} covers what never was")

    def _numbers(
        self, there: Sequence[StoredRecord], outbox: Outbox, epoch: Epoch, found: CheckFindings
    ) -> None:
        present: dict[Place, set[int]] = defaultdict(set)
        for each in there:
            place = each.record.key.epoch, str(each.record.key.stream)
            own = {each.record.key.seq}
            covered = set(decode_steps(each.record.body.get("covers", ()))) | own
            if present[place] & covered:
                found.wrong.append(f"{each.record.key} covers what is there as well")
            present[place] |= covered
            found.merged += len(covered) - 1
        for key in self.reported:
            present[key.epoch, str(key.stream)].add(key.seq)
            present[key.epoch, str(key.stream)] |= self._covers.get(key, set())
        declared, ranges = self._declared(there, outbox)
        former = epoch.former
        for place in {*present, *self.last}:
            last = self.last.get(place, 0)
            end = max(last, *present[place]) if present[place] else last
            if former is not None and former.epoch == place[0]:
                end = max(last, former.last.get(place[1], 0))
                if present[place] and max(present[place]) > end:
                    found.wrong.append(f"{place} has a row above its counter {end}")
            missing = set(range(1, end + 1)) - present[place]
            if len(missing) > declared[place]:
                found.lost += len(missing) - declared[place]
                found.wrong.append(
                    f"{place}: {sorted(missing)[:20]} are neither there nor declared"
                )
            # what a commit that never returned had numbered is declared, and was never known here
            beyond = max(0, max((b for _, b in ranges[place]), default=0) - end)
            lost = len(missing) + beyond + self._loose(place)
            found.over += max(0, declared[place] - lost)
            if outside := [n for n in missing if not any(a <= n <= b for a, b in ranges[place])]:
                found.wrong.append(f"{place}: no declaration names {outside[:20]}")
            found.declared += len(missing)
            self.last[place] = end
        self.last = {place: last for place, last in self.last.items() if last}

    def _loose(self, place: Place) -> int:
        """Numbers that may be declared and not missing: a commit under way may have taken them,
        or they were confirmed and no commit knew."""
        wished = sum(
            sum(draft.stream == place[1] for draft in wish.drafts)
            for wish in self.under_way
            if wish.epoch == place[0]
        )
        return wished + sum(
            (key.epoch, key.stream) == place for key in self.reported - self.settled
        )

    def _declared(
        self, there: Sequence[StoredRecord], outbox: Outbox
    ) -> tuple[Counter[Place], dict[Place, list[tuple[int, int]]]]:
        """Losses by events that are on their way or have arrived, and those not yet an event."""
        counts: Counter[Place] = Counter()
        ranges: dict[Place, list[tuple[int, int]]] = defaultdict(list)
        bodies = [body for key, body in self._drops.items() if key in self.reported]
        bodies += [
            each.record.body
            for each in there
            if each.record.body.get("event") == "drop" and each.record.key not in self.reported
        ]
        waiting: PendingDrops = outbox._losses.pending
        bodies += [as_read(draft) for draft in waiting.event_drafts(1)]
        for body in bodies:
            place = body["epoch_of"], body["stream_of"]
            if body["count"] is None:
                continue  # of a database that was lost as a whole
            counts[place] += body["count"]
            ranges[place].append(tuple(body["range"]))
        return counts, ranges

    def _states(self, outbox: Outbox, found: CheckFindings, *, lies: bool) -> None:
        for owner, ever in self._ever.items():
            kept = outbox.state(owner)
            right = {self.states.get(owner)}
            right |= {wish.states[owner] for wish in self.under_way if owner in wish.states}
            if kept not in (right if not lies else {None, *ever}):
                found.wrong.append(f"the state of {owner} is {kept}, not one of {right}")
            if kept is not None:
                self.states[owner] = kept
