"""The verdict over what has arrived: which numbers and which times nobody accounts for."""

from collections.abc import Iterator
from itertools import pairwise

from edge.core.numbers import Numbers, Range, count_in_ranges, format_numbers
from edge.platform.auditreport import AuditFinding, Missing
from edge.platform.declaredlosses import ALL, DeclaredGap
from edge.platform.epochorder import EpochOrder
from edge.platform.receivedranges import EpochStream, ReceivedRanges
from edge.platform.receivedrecord import Key
from edge.platform.timeline import SLACK_US, RowPlace, Timeline, uncovered


def judge_completeness(
    received: ReceivedRanges, notes: list[str]
) -> tuple[list[AuditFinding], Missing]:
    """Findings, and the numbers that are missing and that no drop event declares."""
    return CompletenessCheck(received).verdict(notes)


def unsealed_numbers(received: ReceivedRanges) -> Missing:
    """Numbers that have come, as records of their own, and that no manifest seals."""
    found: Missing = {}
    for place, numbers in received.numbers.items():
        if place[1] != "manifest":
            own = numbers.ranges()
            for other in (received.covered.get(place), received.sealed.get(place)):
                own = subtract_ranges(own, other.ranges() if other is not None else [])
            if own:
                found[place] = own
    return found


def subtract_ranges(ranges: list[Range], taken: list[Range]) -> list[Range]:
    """What is left of sorted ranges; both are walked once."""
    left: list[Range] = []
    at = 0
    for range_start, end in ranges:
        start = range_start
        while at < len(taken) and taken[at][1] < start:
            at += 1
        place = at
        while place < len(taken) and taken[place][0] <= end:
            if taken[place][0] > start:
                left.append((start, taken[place][0] - 1))
            start = taken[place][1] + 1
            place += 1
        if start <= end:
            left.append((start, end))
    return left


class CompletenessCheck:
    """Of one gateway, when all has come that will come. `strict`: manifests are signed, and numbers
    are excused only by events that they seal. Who can write the store can add others."""

    def __init__(self, received: ReceivedRanges, *, strict: bool = False) -> None:
        self.received, self.order = received, received.order()
        self._strict = strict
        # of these we need not have heard, but for the first one: its first record was here
        self._early = self.order.until(received.joined_epoch)
        if all(epoch != received.joined_epoch for epoch, _ in received.numbers):
            self._early.discard(received.joined_epoch)
        self._taken = _assumed_previous(received, self.order, self._early)
        if self._taken is not None:
            self._early |= self.order.until(self._taken)
        # a declaration that was lost itself is made again
        self._lost = {(each.epoch, each.stream): each for each in received.declared.lost}
        self._forgotten: set[int] = set()  # epochs of which all that was not delivered is lost
        for epoch, stream in self._lost:
            at: int | None = epoch if stream == ALL else None
            while at is not None and at not in self._forgotten:
                self._forgotten.add(at)
                at = self.order.before.get(at)
        self._streams: dict[int, str] = {}  # one of each epoch
        for epoch, stream in received.numbers:
            self._streams.setdefault(epoch, stream)

    def verdict(self, notes: list[str]) -> tuple[list[AuditFinding], Missing]:
        if not self.received.numbers:
            return [], {}
        missing: Missing = {}
        findings = [*self._epochs(), *self._losses(), *self._numbers(notes, missing)]
        findings.extend(self._holes())
        return findings, missing

    def absent(self, left: RowPlace, right: RowPlace, stream: str) -> bool:
        """Whether records between the two are missing: then that is reported, or was declared."""
        if left[0] == right[0]:
            low, high = sorted((left[1], right[1]))
            return any(self._absent(left[0], stream, low, high))
        return (
            any(self._absent(left[0], stream, left[1], self._end(left[0], stream)))
            or any(self._absent(right[0], stream, 1, right[1]))
            or any(
                any(self._absent(epoch, stream, 1, self._end(epoch, stream)))
                for epoch in self.order.between(left[0], right[0])
            )
            or self._all_lost(left[0], stream)
        )

    # -- epochs ------------------------------------------------------------------------------------

    def _epochs(self) -> Iterator[AuditFinding]:
        gw, order = self.received.gw, self.order
        for epoch, successors in sorted(order.forks.items()):
            text = f"{gw}: the starts {_epoch_names(successors)} all name {epoch} as the previous"
            text += " epoch: an older copy of the card was restored, or the card was copied"
            yield AuditFinding("fork", text, self._near(successors[-1]))
        for epoch, formers in sorted(order.contradictions.items()):
            text = f"{gw}: the start {epoch} names several previous epochs: {_epoch_names(formers)}"
            yield AuditFinding("fork", text, self._near(epoch))
        for circle in order.cycles:
            text = f"{gw}: the starts {_epoch_names(circle)} name each other as the previous epoch,"
            yield AuditFinding("fork", f"{text} in a circle", self._near(circle[-1]))
        closed: set[int | None] = {*self.received.declared.set_aside}
        closed |= {self.running, self._taken, *(of for of, stream in self._lost if stream == ALL)}
        for epoch in order.ends:
            if epoch not in closed:
                text = f"{gw}: epoch {epoch} was never closed: no later start knows how it ended."
                text += " The card was exchanged or erased, and unsent records are lost"
                yield AuditFinding("open", text, self._near(epoch))

    @property
    def running(self) -> int | None:
        """The one epoch that may be open: that which was heard last, or what followed it."""
        heard = self.received.latest if self._taken is None else self.received.joined_epoch
        if heard not in self.order.place:
            return None
        line, _ = self.order.place[heard]
        ends = set(self.order.ends)
        return next((each for each in reversed(self.order.chains[line]) if each in ends), None)

    def _near(self, epoch: int) -> Key | None:
        """A record of this epoch, for a day to be found."""
        stream = self._streams.get(epoch)
        if stream is None:
            return None
        return self.received.gw, epoch, stream, self.received.numbers[epoch, stream].last

    # -- numbers -----------------------------------------------------------------------------------

    def _losses(self) -> Iterator[AuditFinding]:
        for lost in self._lost.values():
            what = "all undelivered records" if lost.stream == ALL else f"{lost.stream} records"
            text = f"{self.received.gw}: the gateway lost {what} of epoch {lost.epoch}"
            text += " and earlier" if lost.stream == ALL else ""
            yield AuditFinding("lost", f"{text}: how many is not known", lost.key)

    def _numbers(self, notes: list[str], missing: Missing) -> Iterator[AuditFinding]:
        received, declared = self.received, self.received.declared
        gw, keys = received.gw, set(received.numbers) | set(received.sealed)
        unheard: set[int] = set()
        # an epoch of which nothing at all has come is known from the one after it
        for epoch, lasts in declared.claims.lasts.items():
            keys |= {(epoch, stream) for stream in lasts}
        for epoch, stream in sorted(keys):
            numbers = received.numbers.get((epoch, stream))
            known = min(declared.claims.last(epoch, stream), default=None)
            if numbers is not None and known is not None and numbers.last > known:
                text = f"{gw} {epoch}/{stream} has arrived up to {numbers.last}"
                text += f", but the gateway knows only {known}: its outbox was damaged, or an older"
                text += " copy was restored"
                yield AuditFinding("damage", text, (gw, epoch, stream, numbers.last))
            start = 1
            if epoch in self._early:
                if numbers is None:
                    unheard.add(epoch)
                    continue  # before we came, perhaps
                start = numbers.first
                if declared.unexplained(epoch, stream, _before(start))[0]:
                    notes.append(f"{gw} {epoch}/{stream}: the records begin at number {start}")
            absent = list(self._absent(epoch, stream, start, self._end(epoch, stream)))
            yield from self._unexplained((epoch, stream), absent, missing)
        unheard -= {epoch for epoch, _ in received.numbers}
        if unheard:
            text = f"{gw}: there is no record of epoch {_epoch_names(sorted(unheard))} or earlier"
            notes.append(f"{text}: the store begins with epoch {received.joined_epoch}")

    def _unexplained(
        self, where: EpochStream, absent: list[Range], missing: Missing
    ) -> Iterator[AuditFinding]:
        epoch, stream = where
        received = self.received
        left, covered, allowed = received.declared.unexplained(epoch, stream, absent)
        doubtful: list[Range] = []
        if self._strict and covered:
            sealed = received.sealed.get(where)
            sure, covered, allowed = received.declared.unexplained(
                epoch, stream, absent, self._is_sealed
            )
            excused = subtract_ranges(sure, left)
            doubtful = subtract_ranges(excused, sealed.ranges() if sealed is not None else [])
            left = subtract_ranges(sure, doubtful)
        name = f"{received.gw} {epoch}/{stream}"
        if left:
            missing[where] = left
            gone: list[Range] = []
            if self._all_lost(epoch, stream):  # what was sealed had left before that
                sealed = received.sealed.get(where)
                gone = subtract_ranges(left, sealed.ranges() if sealed is not None else [])
                left = subtract_ranges(left, gone)
            for kind, ranges, why in (
                ("missing", left, ""),
                ("lost", gone, " (the gateway lost its outbox)"),
            ):
                if ranges:
                    text = (
                        f"{name}: {count_in_ranges(ranges)} numbers are missing{why}: "
                        f"{format_numbers(ranges)}"
                    )
                    yield AuditFinding(kind, text, (received.gw, epoch, stream, ranges[0][0]))
        if doubtful:
            text = (
                f"{name}: {count_in_ranges(doubtful)} numbers are missing: "
                f"{format_numbers(doubtful)}; no manifest seals the events that declare them. If "
                "these are new, audit again in half an hour"
            )
            yield AuditFinding("unsealed", text, (received.gw, epoch, stream, doubtful[0][0]))
        if covered > allowed:
            text = f"{name}: {covered} numbers are missing, but the gateway declared only {allowed}"
            yield AuditFinding(
                "missing", f"{text} as lost", (received.gw, epoch, stream, absent[0][0])
            )

    def _is_sealed(self, key: Key) -> bool:
        return key[3] in self.received.sealed.get(key[1:3], ())

    def _all_lost(self, epoch: int, stream: str) -> bool:
        """Whether the gateway said that it lost what it had not delivered of them."""
        return epoch in self._forgotten or (epoch, stream) in self._lost

    def _end(self, epoch: int, stream: str) -> int:
        """The highest number that is known to exist."""
        received = self.received
        known = [0, *received.declared.claims.last(epoch, stream)]
        for numbers in (
            received.numbers.get((epoch, stream)),
            received.sealed.get((epoch, stream)),
        ):
            if numbers is not None:
                known.append(numbers.last)
        return max(known)

    def _absent(self, epoch: int, stream: str, first: int, last: int) -> Iterator[Range]:
        return self.received.numbers.get((epoch, stream), Numbers()).missing(first, last)

    # -- time --------------------------------------------------------------------------------------

    def _holes(self) -> Iterator[AuditFinding]:
        for (stream, source), timelines in sorted(self.received.timelines.items()):
            lines: dict[int, list[tuple[int, int]]] = {}
            for epoch, boot in timelines:
                lines.setdefault(self.order.place[epoch][0], []).append((epoch, boot))
            for line, places in sorted(lines.items()):
                places.sort(key=lambda each: self.order.place[each[0]])
                boots: dict[int, Timeline] = {}
                for place in places:
                    merged = boots.setdefault(place[1], Timeline())
                    for each in timelines[place].stretches:
                        if not merged.add(each.from_us, each.to_us, each.head, each.tail):
                            text = f"{self.received.gw} {stream}/{source}: records of epoch"
                            text += f" {place[0]} cover a time of boot {place[1]} that"
                            text += f" another epoch covers too ({each.from_us}..{each.to_us} us)"
                            yield AuditFinding("overlap", text, self._key(stream, each.head))
                yield from self._of_source(line, stream, source, boots)

    def _of_source(
        self, line: int, stream: str, source: str, boots: dict[int, Timeline]
    ) -> Iterator[AuditFinding]:
        gw, epochs = self.received.gw, self.order.chains[line]
        epoch_set = set(epochs)
        mine = [g for g in self.received.declared.gaps if g.epoch in epoch_set and g.names(source)]
        for boot, timeline in boots.items():
            named = [(gap.from_us, gap.to_us) for gap in mine if gap.boot == boot]
            for left, right in timeline.holes():
                lost = uncovered(left.to_us, right.from_us, named)
                if lost and not self.absent(left.tail, right.head, stream):
                    text = f"{gw} {stream}/{source}: {lost / 1e6:.3f} s are missing"
                    where = f"between {left.to_us} and {right.from_us} us of boot {boot}"
                    yield AuditFinding("hole", f"{text} {where}", self._key(stream, right.head))
        # the boots of this line, in their order
        all_boots = self.received.boots
        known = dict.fromkeys(all_boots[each] for each in epochs if each in all_boots)
        ranks = {boot: rank for rank, boot in enumerate(known)}
        for before, after in pairwise(boots):
            first, tail = boots[after].stretches[0], boots[before].stretches[-1].tail
            if not _gaps_lead(mine, before, after, first.from_us, ranks) and not (
                self.absent(tail, first.head, stream)
            ):
                text = f"{gw} {stream}/{source}: no gap event covers the time from boot {before}"
                text = f"{text} to the first record of boot {after}"
                yield AuditFinding("hole", text, self._key(stream, first.head))

    def _key(self, stream: str, place: RowPlace) -> Key:
        return self.received.gw, place[0], stream, place[1]


def _gaps_lead(
    gaps: list[DeclaredGap], before: int, after: int, first_us: int, ranks: dict[int, int]
) -> bool:
    """Whether gaps lead from boot `before`, or one before it, to the first record of `after`: one,
    or several over boots between, of which each begins where the one before it ended: nothing of
    such a boot had been recorded when its power went."""
    ends = [gap for gap in gaps if gap.boot == after and gap.to_us >= first_us - SLACK_US]
    seen = {after}
    while ends:
        gap = ends.pop()
        rank = ranks.get(gap.boot_before, -1)  # one of which nothing has come is not after these
        if rank <= ranks.get(before, rank):
            return True
        if gap.boot_before not in seen:
            seen.add(gap.boot_before)
            ends += [
                each for each in gaps
                if each.boot == gap.boot_before and each.to_us >= gap.from_us - SLACK_US
            ]  # fmt: skip
    return False


def _assumed_previous(received: ReceivedRanges, order: EpochOrder, early: set[int]) -> int | None:
    """Where we came too late to hear what the epoch that ran said of the one before: the older one
    that is taken for it, though nobody has closed it. Its backlog may come now."""
    opened = any(
        1 in received.numbers.get((received.joined_epoch, stream), ())
        for stream in ("manifest", "event")
    )
    if opened or received.joined_epoch in order.before:
        return None
    older = (epoch for epoch in order.ends if epoch < received.joined_epoch and epoch not in early)
    return max(older, default=None)


def _before(start: int) -> list[Range]:
    return [(1, start - 1)] if start > 1 else []


def _epoch_names(epochs: list[int]) -> str:
    shown = ", ".join(map(str, epochs[:4]))
    return shown + (f" and {len(epochs) - 4} more" if len(epochs) > 4 else "")
