"""Counts the hops of the three ways by measuring: what a running daemon does, not what is read.

    python -m tests.architecture.hops [--root CHECKOUT]... [--way WAY]... [--page]

A daemon with simulated lines, a real outbox and a real mosquitto runs under a profile
(`following.py`). One vehicle passes; its first edge, the record that counts it, and the
confirmation of that record are followed by what they say: the time, lane and window, row, packet
(`ways.py`). Several checkouts are measured by the same rule, and compared.

**The rule.** A hop is a call, an await, a queue or a thread by which the thing that is followed
goes from one module (a file below `edge` or `drivers`) into another. It counts in the direction of
the call: a call that is given it, and a call that fetches it. What comes back from a call that was
given it is the same hop; the list says that it asks. A call that is given it and from which the way
does not go on (a check, a journal, the stage) is no hop: it lies beside the way. Not looked into:
`edge/core`, whose functions and dataclasses are pure values; properties; special methods;
simulators, and the chip that stands for the kernel. A function that is passed on belongs to the
module that it stands in. In the window of its lane an edge becomes a number: what a module counts
for itself has no hops.

- edge: from the kernel to the socket of the broker.
- puback: from the socket to the deletion of the row, where the broker's answer confirms.
- receipt: the same, where the platform's receipt confirms.
- commit: from the drafts to the insertion and back. Counted are its return visits: calls into a
  module, or from one package into another package, that waits for this very call.

It ends with 1 if it could follow nothing.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.architecture.carried import PAYLOAD, RECORD
from tests.architecture.measured import NothingFollowedError, follow
from tests.architecture.ways import Move, Touch, Trace, TracedCall, return_visits

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs/architecture/hops.md"
TITLES: Final = {
    "edge": "An edge, from the kernel to the broker",
    "puback": "A confirmation by the broker, to the deletion of the row",
    "receipt": "A confirmation by the platform's receipt, to the deletion of the row",
    "commit": "Return visits of a commit",
}
WAYS: Final = tuple(TITLES)
LEAD_ON: Final = 1  # the bit of the edge that is followed: by it the vehicle is counted
TRIES: Final = 3  # a machine that is busy may let a window pass


def measure(root: Path, ways: Sequence[str] = WAYS) -> dict[str, list[Move]]:
    """The moves of each way in this checkout. Raises NothingFollowedError."""
    found: dict[str, list[Move]] = {}
    for confirm, names in (("broker", ("edge", "puback", "commit")), ("platform", ("receipt",))):
        wanted = [name for name in names if name in ways]
        if wanted:
            found |= _measured(root, confirm, wanted)
    return found


def _measured(root: Path, confirm: str, ways: Sequence[str]) -> dict[str, list[Move]]:
    for left in reversed(range(TRIES)):
        try:
            trace = Trace(follow(root, confirm))
            return {name: WAY[name](trace) for name in ways}
        except NothingFollowedError:
            if not left:
                raise
    raise AssertionError


def edge_way(trace: Trace) -> list[Move]:
    moves = trace.way(_sent(trace), (PAYLOAD, RECORD, LEAD_ON))
    if not moves or not moves[0].source.module.startswith("drivers/buses"):
        raise NothingFollowedError(f"the way of an edge begins at {moves[:1]}")
    return moves


def confirmation_way(trace: Trace) -> list[Move]:
    begin = _received(trace)[-1]
    deleted = [t for t in trace.touches if t.note.startswith("DELETE") and t.time > begin.time]
    if not deleted:
        raise NothingFollowedError("the row was not deleted")
    moves = trace.way(deleted[0], (RECORD,), begin.time)
    if not moves or moves[0].source.number not in (begin.call, trace.calls[begin.call].parent):
        raise NothingFollowedError(f"the way of a confirmation begins at {moves[:1]}")
    return moves


def commit_way(trace: Trace) -> list[Move]:
    inserted = [t for t in trace.touches if t.note.startswith("INSERT") and t.bits & RECORD]
    if not inserted:
        raise NothingFollowedError("the record was not inserted")
    return return_visits(trace, inserted[0], RECORD)


WAY: Final = {
    "edge": edge_way, "puback": confirmation_way, "receipt": confirmation_way,
    "commit": commit_way,
}  # fmt: skip


def _sent(trace: Trace) -> Touch:
    """The record's bytes are handed to the socket."""
    for touch in trace.touches:
        if touch.bits & PAYLOAD and trace.calls[touch.call].function.endswith("_sock_send"):
            return touch
    raise NothingFollowedError("the record was not sent")


def _received(trace: Trace) -> list[Touch]:
    """Bytes from the socket that speak of it: the acknowledgement, then the receipt."""
    sent = _sent(trace)
    found = [
        t for t in trace.touches
        if t.time > sent.time and t.kind == "brought" and t.bits & RECORD
        and trace.calls[t.call].function.endswith("_sock_recv")
    ]  # fmt: skip
    if not found:
        raise NothingFollowedError("nothing came back from the broker")
    return found


def hops(moves: Sequence[Move]) -> list[Move]:
    return [move for move in moves if move.is_hop]


def asking(moves: Sequence[Move]) -> int:
    """How many of the hops ask and come back."""
    return sum(move.kind == "asks" for move in hops(moves))


def lines(moves: Sequence[Move]) -> Iterator[str]:
    """`1. module:function -> module:function`, with what kind of hop it is."""
    for number, move in enumerate(hops(moves), 1):
        caller, called = move.source, move.target
        if move.kind == "brings":
            caller, called = called, caller
        yield f"{number}. {_short(caller)} -> {_short(called)}{NOTES[move.kind]}"


NOTES: Final = {
    "gives": "",
    "asks": " (asks)",
    "brings": " (fetches)",
    "returns": "",
    "waits": " (waits in between)",
    "thread": " (another thread)",
}


def _short(call: TracedCall) -> str:
    function = call.function.replace("<lambda>", "lambda")  # Markdown takes it for HTML
    return f"{call.module.removeprefix('edge/')}:{function}"


def heading(way: str, moves: Sequence[Move]) -> str:
    asked = asking(moves)
    return f"{TITLES[way]}: {len(hops(moves)) or 'none'}{f', {asked} of them ask' if asked else ''}"


def write_page(found: Mapping[str, Sequence[Move]]) -> None:
    """What is so now: the lists at the end, and their numbers in the table."""
    text, mark, _ = PAGE.read_text(encoding="utf-8").partition("\n## Now\n")
    for way, moves in found.items():
        row = re.compile(rf"^(\| {way} \| \d+ \| \d+ \|) \d+ \| \d+ \|", re.MULTILINE)
        text = row.sub(rf"\1 {len(hops(moves))} | {len(hops(moves)) - asking(moves)} |", text)
    lists = [f"### {heading(way, found[way])}\n\n" + "\n".join(lines(found[way])) for way in WAYS]
    PAGE.write_text(f"{text}{mark}\n" + "\n\n".join(lists).rstrip() + "\n", encoding="utf-8")


def committed() -> dict[str, int]:
    """What the page says is so now."""
    row = re.compile(r"^\| (\w+) \| \d+ \| \d+ \| (\d+) \|", re.MULTILINE)
    return {way: int(now) for way, now in row.findall(PAGE.read_text(encoding="utf-8"))}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.architecture.hops", description=__doc__)
    parser.add_argument("--root", type=Path, action="append", help="a checkout; this one")
    parser.add_argument("--way", choices=WAYS, action="append", help="all")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    parser.add_argument("--all", action="store_true", help="moves within a module, too")
    args = parser.parse_args()
    ways: Sequence[str] = args.way or WAYS
    counts: list[tuple[Path, dict[str, int]]] = []
    for root in args.root or [ROOT]:
        try:
            found = measure(root.resolve(), ways)
        except NothingFollowedError as error:
            print(f"{root}: nothing could be followed: {error}", file=sys.stderr)
            return 1
        counts.append((root, {way: len(hops(moves)) for way, moves in found.items()}))
        for way, moves in found.items():
            print(f"\n## {root.name}: {heading(way, moves)}\n")
            print("\n".join(lines(moves)))
            if args.all:
                print("\n".join(f"    {m.kind:8} {m.source} -> {m.target}" for m in moves))
        if args.page and not args.root and not args.way:
            write_page(found)
    print()
    for root, count in counts:
        print(f"{root}: " + ", ".join(f"{way} {number}" for way, number in count.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
