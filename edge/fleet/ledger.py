"""The ledger of a fleet: which numbers each gateway has sent, and which came back confirmed.

It is kept by who sends, so a store can be compared with a count that it has not made itself. One
line of JSON for each gateway, epoch and stream; `sent`, `acknowledged` and `receipted` are
inclusive ranges. A later run reads the file first: a gateway that stands in it goes on behind its
last epoch, as a box does that was started again.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edge.core.numbers import Numbers
from edge.durable.atomicwrite import replace_file

LINE_LIMIT: Final = 1 << 20  # bytes of a line


class LedgerError(ValueError):
    """The file is no ledger; the text says where."""


@dataclass(slots=True)
class StreamNumbers:
    """Of one stream in one epoch."""

    sent: Numbers = field(default_factory=Numbers)
    acknowledged: Numbers = field(default_factory=Numbers)
    receipted: Numbers = field(default_factory=Numbers)


@dataclass(slots=True)
class GatewayLedger:
    """Of one gateway in one epoch."""

    gw: str
    site: str
    epoch: int
    boot: int
    minute: int = 0
    """Up to which minute of the wall, counted from 1970, it has made records."""
    streams: dict[str, StreamNumbers] = field(default_factory=dict)

    def of(self, stream: str) -> StreamNumbers:
        found = self.streams.get(stream)
        if found is None:
            found = self.streams[stream] = StreamNumbers()
        return found

    def lines(self) -> Iterable[str]:
        """As they stand in the file."""
        for stream, numbers in self.streams.items():
            yield json.dumps({
                "gw": self.gw, "site": self.site, "epoch": self.epoch, "boot": self.boot,
                "minute": self.minute, "stream": stream,
                "sent": numbers.sent.ranges(),
                "acknowledged": numbers.acknowledged.ranges(),
                "receipted": numbers.receipted.ranges(),
            })  # fmt: skip


@dataclass(frozen=True, slots=True)
class FormerEpoch:
    """The last epoch of a gateway that a ledger knows."""

    epoch: int
    boot: int
    minute: int
    last: dict[str, int]


def read_ledger(path: Path) -> tuple[list[str], dict[str, FormerEpoch]]:
    """Its lines, and the last epoch of each gateway; nothing where there is no file.

    Raises LedgerError, OSError.
    """
    if not path.exists():
        return [], {}
    lines: list[str] = []
    found: dict[str, FormerEpoch] = {}
    with path.open(encoding="utf-8", errors="replace") as file:
        while line := file.readline(LINE_LIMIT):
            lines.append(line.rstrip("\n"))
            try:
                gw, former, stream, last = _entry(json.loads(line))
            except (ValueError, KeyError, TypeError, IndexError) as error:
                text = f"{path}, line {len(lines)}: not of a fleet's ledger ({error!r:.80})"
                raise LedgerError(text) from None
            known = found.get(gw)
            if known is None or former.epoch > known.epoch:
                known = found[gw] = former
            if former.epoch == known.epoch:
                known.last[stream] = last
    return lines, found


def _entry(found: Any) -> tuple[str, FormerEpoch, str, int]:
    last = max((int(last) for _, last in found["sent"]), default=0)
    former = FormerEpoch(int(found["epoch"]), int(found["boot"]), int(found["minute"]), {})
    return str(found["gw"]), former, str(found["stream"]), last


def write_ledger(path: Path, former: Iterable[str], gateways: Iterable[GatewayLedger]) -> None:
    """Replace the file: the lines that stood there, and these. Raises OSError."""
    lines = [*former, *(line for one in gateways for line in one.lines())]
    replace_file(path, "".join(f"{line}\n" for line in lines).encode(), 0o666)
