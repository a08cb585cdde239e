"""Compares what loop health says of real loops with what their loop cards said.

    python -m models.loopfault.cardfaults --logs DIR [--rules] [--baseline]

DIR has the samples of `controllerlogs`: three signals in Oregon, three hours, tenths of a second.
Each log is imported and replayed as a user does it, with the shipped model or, with `--rules`,
without any. `--baseline` adds the package `atspm-detector` (see there what it needs). What the card
said is in the log by the event codes 83 to 88.

A card that says nothing does not make a loop sound: flags on such loops are counted, and are false
only if the loop was sound. Nothing was trained or chosen on these logs.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import msgspec

import drivers
from edge.config import load_site
from edge.core import Stream
from edge.gateway.replaying import Replay
from edge.gateway.wiring import Wiring
from edge.recordings.edgefile import open_edges, read_edge_rows
from edge.recordings.importlogs import ImportedSite, ImportOptions, LogImport
from models.loopfault.atspmdetector import DetectorHealth, detector_health
from models.loopfault.controllerlogs import EVENTS, ROLES

NS: Final = 1_000_000_000
RESTORED: Final = "restored"
AFTER_S: Final = 60.0  # a flag that comes so late after an episode's end is still of it
DAY_S: Final = 86_400.0


class CardEpisode(NamedTuple):
    """The card said that a loop is faulty, and then that it is restored (in seconds)."""

    line: str
    from_s: float
    to_s: float
    said: str


class RaisedFault(NamedTuple):
    """A `sensor_fault` of a loop. `to_s` is the end of the log where it was up until then."""

    line: str
    from_s: float
    to_s: float
    fault: str


@dataclass
class CardComparison:
    """One signal: what its card said, and what loop health said. `lines` are all its loops."""

    signal: str
    hours: float
    lines: tuple[str, ...]
    episodes: list[CardEpisode] = field(default_factory=list)
    unfinished: list[CardEpisode] = field(default_factory=list)  # the log ends before
    flags: list[RaisedFault] = field(default_factory=list)

    @property
    def doubted(self) -> set[str]:
        """Lines of which the card said something."""
        return {each.line for each in (*self.episodes, *self.unfinished)}

    def flagged(self) -> set[str]:
        """Lines with a flag."""
        return {flag.line for flag in self.flags}

    def found(self) -> list[CardEpisode]:
        """Episodes in which a flag was up that had not been there before."""
        return [e for e in self.episodes if any(_within(flag, e) for flag in self.flags)]

    def covered(self) -> list[CardEpisode]:
        """Episodes during which a flag was up, whenever it was raised."""
        return [
            e
            for e in self.episodes
            if any(f.line == e.line and f.from_s < e.to_s + AFTER_S and e.from_s < f.to_s
                   for f in self.flags)
        ]  # fmt: skip

    def others(self) -> list[RaisedFault]:
        """Flags on loops of which the card said nothing."""
        return [flag for flag in self.flags if flag.line not in self.doubted]

    def other_days(self) -> float:
        """Detector-days of these loops."""
        return len(set(self.lines) - self.doubted) * self.hours / 24.0


def _within(flag: RaisedFault, episode: CardEpisode) -> bool:
    return flag.line == episode.line and episode.from_s <= flag.from_s <= episode.to_s + AFTER_S


def compare_logs(
    logs: Sequence[Path], roles: Path | None, *, rules: bool = False
) -> list[CardComparison]:
    """Import and replay all signals of these logs."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with LogImport(folder, ImportOptions(roles=roles)) as log:
            log.read(logs)
            log.survey()
            sites = list(log.write())
        empty = folder / "no models"  # then their rules answer
        empty.mkdir()
        return [_compared(site, empty if rules else None) for site in sites]


def _compared(imported: ImportedSite, models: Path | None) -> CardComparison:
    site = load_site(imported.site, drivers.catalogue())
    folder = site.models.dir if models is None else str(models)
    only = msgspec.structs.replace(site.models, congestion=False, anomaly=False, dir=folder)
    site = replace(site, models=only)  # neither says anything of a loop
    lines = {name: lane.lead for name, lane in site.lanes.items()}
    hours = (imported.end - imported.begin).total_seconds() / 3600.0
    out = CardComparison(imported.name, hours, tuple(lines.values()))
    out.episodes, out.unfinished = card_episodes(imported.card, hours * 3600.0)
    parts = Wiring.of(site)
    pipeline = parts.pipeline(replayed=True)
    pipeline.load()
    replay = Replay(pipeline, parts, site.period_ns, imported.begin.timestamp())
    up: dict[tuple[str, str], float] = {}
    with open_edges(imported.edges) as file:
        for record in replay.run(read_edge_rows(file)):
            body = record.body
            line = lines.get(record.source)
            if record.key.stream is not Stream.EVENT or line is None:
                continue
            if body.get("event") != "sensor_fault":
                continue
            key, at_s = (line, str(body.get("fault"))), record.to_ns / NS
            if body["state"] == "on":
                up.setdefault(key, at_s)
            elif key in up:
                out.flags.append(RaisedFault(line, up.pop(key), at_s, key[1]))
    if replay.errors:
        raise ValueError(f"{imported.edges}: {replay.errors[0]}")
    out.flags += [RaisedFault(line, at_s, hours * 3600.0, f) for (line, f), at_s in up.items()]
    out.flags.sort(key=lambda flag: (flag.from_s, flag.line))
    return out


def card_episodes(card: Path | None, end_s: float) -> tuple[list[CardEpisode], list[CardEpisode]]:
    """Of a `.card.csv`: those that were restored, and those that were not until the log's end."""
    whole: list[CardEpisode] = []
    since: dict[str, tuple[float, str]] = {}
    if card is None:
        return [], []
    for text in card.read_text(encoding="utf-8").splitlines()[1:]:
        t_ms, line, said = text.split(",")
        at_s = int(t_ms) / 1000.0
        if said != RESTORED:
            since.setdefault(line, (at_s, said))
        elif line in since:
            whole.append(CardEpisode(line, since[line][0], at_s, since.pop(line)[1]))
    left = [CardEpisode(line, at_s, end_s, said) for line, (at_s, said) in since.items()]
    return whole, left


# -- what is printed -------------------------------------------------------------------------------


def comparison_lines(some: Sequence[CardComparison]) -> Iterator[str]:
    """For people, in Markdown."""
    yield (
        "| signal | loops | card episodes | of them flagged | loops with episodes "
        "| of them flagged | other loops | of them flagged |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for c in some:
        flagged = c.flagged()
        yield (
            f"| {c.signal} | {len(c.lines)} | {len(c.episodes)} | {len(c.found())} "
            f"| {len(c.doubted)} | {len(c.doubted & flagged)} "
            f"| {len(set(c.lines) - c.doubted)} | {len(flagged - c.doubted)} |"
        )
    for c in some:
        yield ""
        yield f"{c.signal}: {c.hours:.2f} h"
        if c.episodes:
            lengths = sorted(e.to_s - e.from_s for e in c.episodes)
            yield (
                f"episodes: median {median(lengths):.1f} s, longest {lengths[-1]:.1f} s, "
                f"{sum(s >= 60.0 for s in lengths)} of a minute or more; a flag was up during "
                f"{len(c.covered())}; {_kinds(e.said for e in c.episodes)}"
            )
        for each in c.unfinished:
            yield f"{each.line}: {each.said} from {each.from_s:.0f} s on, not restored"
        for flag in c.flags:
            of = "the card said something" if flag.line in c.doubted else "the card said nothing"
            yield (f"{flag.line}: {flag.fault} from {flag.from_s:.0f} to {flag.to_s:.0f} s ({of})")
    others, days = [f for c in some for f in c.others()], sum(c.other_days() for c in some)
    yield ""
    yield (
        f"Flags on loops of which no card said anything: {len(others)} in {days:.1f} detector-days"
        + (f", {len(others) / days:.2f} a detector-day" if days else "")
        + (f": {_kinds(flag.fault for flag in others)}." if others else ".")
    )


def baseline_lines(
    some: Sequence[CardComparison], health: Sequence[DetectorHealth]
) -> Iterator[str]:
    """What the baseline says of the same loops."""
    signals = {c.signal: c for c in some}
    found = [h for h in health if h.flagged and h.signal in signals]
    others = [h for h in found if h.line not in signals[h.signal].doubted]
    yield (
        f"atspm-detector: {len(found) - len(others)} of {sum(len(c.doubted) for c in some)} loops "
        f"of which a card said something, and {len(others)} others in "
        f"{sum(c.other_days() for c in some):.1f} detector-days"
    )
    for h in found:
        yield f"{h.signal} {h.line}: {h.status}: {h.reason}"


def _kinds(words: Iterable[str]) -> str:
    return ", ".join(f"{n} {word}" for word, n in sorted(Counter(words).items()))


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--logs", type=Path, required=True, help="folder of the samples")
    parser.add_argument("--rules", action="store_true", help="without any model")
    parser.add_argument("--baseline", action="store_true", help="atspm-detector, if it is there")
    args = parser.parse_args()
    found = compare_logs([args.logs / EVENTS], args.logs / ROLES, rules=args.rules)
    for line in comparison_lines(found):
        print(line, flush=True)
    if args.baseline:
        print("", *baseline_lines(found, detector_health(args.logs / EVENTS)), sep="\n")


if __name__ == "__main__":
    main()
