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

Made by `python -m tests.frames.run --frames DIR --write`. `make frames FRAMES=DIR` makes the same
comparison. It fails on a value that differs without a reason, on a damaged file, and on too few
frames: the folder must hold at least 100 frames of M-Bus (refused frames are included), 200 of SML
and 13 telegrams of DSMR. Without a folder, only the frames of source packages and of this
repository are compared, and the missing sets are named. Without any frame of a source package it
fails.

Another implementation decodes the same bytes, and each value is compared. *Same*: the values are
equal. *Ours better*: they differ, or only our driver gives one, and the table below says why ours
is right. *Refused*: only the other program gives a value, and ours says why it gives none. *Wrong*
must be 0. A frame that both refuse counts as one value that is the same. Values for which we have
no point (past months, dates, maxima) are not compared. *Calculated* frames were not recorded at a
meter: the other implementation encoded them, or this repository made them. Or a simulated meter
gave them, and another program reads it correctly with its register map; these lines count maps. A
frame that is compared with two implementations counts as one frame and two values.

Each recorded frame is also cut off at each of its bytes and given to the driver (*cut*: how many
pieces). If a piece gives a number, the run fails.

"""
NOT_HERE: Final = """\
## Limits

- Only the parsers of these source packages are used: dlt645 holds no frame of a meter, dsmr-parser
  holds one of its thirteen example telegrams, and iec62056-21 holds no readout.
- mbmd and evcc have no map for `adl400`, `pzem004t` and `umg96rm`.
- pyMeterBus and libmbus give neither the phase of a record nor its direction. So our decoding
  chooses the point, and only value, unit, tariff and storage are compared with theirs.
- smllib gives no direction for power without a sign. A bit of the meter's status word, which smllib
  gives, is used.
- dlt645 reads single values only, so the values of a block are given to it one by one.
- mbmd and evcc are Go programs. `tests/frames/maps.toml` lists their registers, types and scales.
  Our driver reads a simulated meter that their map reads correctly.
- There is no public collection of DL/T 645 frames or of IEC 62056-21 readouts. Single frames are in
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
