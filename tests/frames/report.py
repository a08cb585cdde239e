"""What was compared, at a terminal and as the page docs/frames.md."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.frames.outcome import FrameTally, Outcome
from tests.frames.reasons import Reason
from tests.frames.sets import FOLDER, HERE, Set, peer
from tests.frames.sources import Package, collections, packages

SHOWN: Final = 20  # wrong values of a set that are listed
HEAD: Final = """\
# Frames of real meters, against other implementations

Made by `python -m tests.frames.run --frames DIR --write`. `make frames FRAMES=DIR` compares the
same, and fails on a value that differs without a reason, on a damaged file, and on too few frames:
at least 100 of M-Bus (those that are refused count), 200 of SML and 13 telegrams of DSMR are wanted
of the folder. Without a folder, those of source packages and of this repository are compared, and a
set that is not there is named; it fails if not one of a source package was.

Each value is compared with what another implementation makes of the same bytes: *same*; *ours
better*, where they differ or only ours gives one, and the table below says why ours is right;
*refused*, where only the other gives one and ours says why there is none; *wrong*, which must be 0.
A frame that both refuse counts as one value that is the same. Values that are no point of ours
(past months, dates, maxima) are not tried. What is *calculated* was not recorded at a meter: values
that the other implementation encodes, conversations of this repository, and simulated meters that
another program's register map reads right, where a line counts maps. A frame that is compared with
two implementations is one frame, and two values.

Each frame that was recorded is also cut at each of its bytes and given to the driver (*cut*: how
many beginnings); one that gives a number fails the run.

"""
NOT_HERE: Final = """\
## What there is not

- The source package of dlt645 holds no frame of a meter, that of dsmr-parser one telegram of its
  thirteen examples, that of iec62056-21 no readout: it is their parsers that are taken.
- No map was found in mbmd or evcc for `adl400`, `pzem004t` and `umg96rm`.
- pyMeterBus and libmbus tell no phase of a record, nor which way it counts. There our own reading
  names the point, and only value, unit, tariff and storage are theirs.
- smllib does not say which way power flows that has no sign: it gives the meter's status word, of
  which a bit is taken.
- dlt645 reads single values only: those of a block are given to it one by one.
- mbmd and evcc are Go programs. Their registers, types and scales stand in `tests/frames/maps.toml`
  as facts; a simulated meter that their map reads right is read by ours.
- Of DL/T 645 and of readouts of IEC 62056-21 there is no public collection: single frames stand in
  `tests/frames/dlt645.toml` and `tests/frames/readouts.toml`, with their sources.
"""


def line(one: Set, tally: FrameTally) -> str:
    """One set at a terminal."""
    counts = ", ".join(f"{tally.count(outcome)} {outcome}" for outcome in Outcome)
    size = f"{tally.frames:4} frames, {len(tally.values):4} values"
    return f"{one.protocol:13} {one.name:24} {size}: {counts}"


def wrong(tally: FrameTally) -> list[str]:
    """The values that differ without a reason, as many as a person reads."""
    found = [str(one) for one in tally.values if one.outcome is Outcome.WRONG]
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return [*found[:SHOWN], *more]


def document(
    tallies: Mapping[Set, FrameTally],
    reasons: Sequence[Reason],
    manifest: Path,
) -> str:
    """docs/frames.md, of a run that compared every set; `manifest` is the folder's."""
    rows = [
        _row(
            one.protocol, _named(one), peer(one), tally.frames, len(tally.values),
            *(tally.count(outcome) for outcome in Outcome), tally.cuts,
        )
        for one, tally in tallies.items()
    ]  # fmt: skip
    rows += [
        _total("**recorded by others**", tallies, ("recorded", "again")),
        _total("**calculated**", tallies, ("made",)),
    ]
    head = _row(
        "Protocol",
        "Set",
        "Other implementation",
        "Frames",
        "Tried",
        *(o.capitalize() for o in Outcome),
        "Cut",
    )
    parts = [HEAD, head, "|---|---|---|--:|--:|--:|--:|--:|--:|--:|\n", *rows]
    parts += [
        "\n## Where ours differs, and why\n\n",
        _row("What", "Set", "Values", "Why", "Source"),
    ]
    parts += ["|---|---|--:|---|---|\n", *_why(tallies, reasons), "\n## Sources\n\n"]
    parts += [_source(one) for one in packages().values()]
    parts += [
        f"- `FRAMES/{one.folder}`: {one.repository} {one.commit} of {one.dated}, {one.holds}"
        f" ({one.licence})\n"
        for one in collections()
    ]
    sha256 = hashlib.sha256(manifest.read_bytes()).hexdigest()
    parts.append(f"- the manifest of `FRAMES`, `{manifest.name}`: sha256 `{sha256[:16]}…`\n")
    return "".join([*parts, "\n", NOT_HERE])


def _total(name: str, tallies: Mapping[Set, FrameTally], kinds: Sequence[str]) -> str:
    """Of some kinds together. Frames that are compared again are not counted again."""
    chosen = {one: tally for one, tally in tallies.items() if one.kind in kinds}
    frames = sum(tally.frames for one, tally in chosen.items() if one.kind != "again")
    counts = [sum(tally.count(outcome) for tally in chosen.values()) for outcome in Outcome]
    cuts = sum(tally.cuts for tally in chosen.values())
    return _row(name, "", "", *(f"**{n}**" for n in (frames, sum(counts), *counts, cuts)))


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |\n"


def _named(one: Set) -> str:
    place = {HERE: "this repository", FOLDER: "`FRAMES`"}.get(one.origin, f"package {one.origin}")
    made = ", calculated" if one.kind == "made" else ""
    return f"{one.name} ({place}{made})"


def _why(tallies: Mapping[Set, FrameTally], reasons: Sequence[Reason]) -> list[str]:
    used = Counter(one.reason for tally in tallies.values() for one in tally.values if one.reason)
    return [
        _row(
            f"*{one.outcome}*: {one.name}", ", ".join(one.sets), used[one.name], one.why, one.source
        )
        for one in reasons
    ]


def _source(one: Package) -> str:
    return (
        f"- {one.name} {one.version} of {one.released} ({one.licence}), source package"
        f" `{one.file}`, sha256 `{one.sha256[:16]}…`: {one.holds}\n"
    )
