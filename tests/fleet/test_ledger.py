"""The ledger: what stands in it is read again, and what is none is refused with its place."""

import json
from pathlib import Path

import pytest

from edge.fleet.ledger import (
    FormerEpoch,
    GatewayLedger,
    LedgerError,
    read_ledger,
    write_ledger,
)


def filled(epoch: int) -> GatewayLedger:
    one = GatewayLedger("gw-1", "mitte", epoch, 7, 1000)
    one.of("air").sent.add_range(1, 20)
    one.of("air").acknowledged.add_range(1, 19)
    one.of("air").receipted.add(3)
    one.of("event").sent.add(1)
    return one


def test_a_line_for_each_stream_says_what_was_sent_acknowledged_and_receipted(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sent.jsonl"
    write_ledger(path, [], [filled(5)])
    first = json.loads(path.read_text().splitlines()[0])
    assert first == {
        "gw": "gw-1", "site": "mitte", "epoch": 5, "boot": 7, "minute": 1000, "stream": "air",
        "sent": [[1, 20]], "acknowledged": [[1, 19]], "receipted": [[3, 3]],
    }  # fmt: skip


def test_the_last_epoch_is_gone_on_from_and_the_lines_before_stay(tmp_path: Path) -> None:
    path = tmp_path / "sent.jsonl"
    write_ledger(path, [], [filled(5)])
    kept, former = read_ledger(path)
    assert former == {"gw-1": FormerEpoch(5, 7, 1000, {"air": 20, "event": 1})}
    write_ledger(path, kept, [filled(9)])
    kept, former = read_ledger(path)
    assert len(kept) == 4
    assert former["gw-1"].epoch == 9


def test_no_file_is_an_empty_one(tmp_path: Path) -> None:
    assert read_ledger(tmp_path / "none") == ([], {})


@pytest.mark.parametrize("text", ["x", "[]", '{"gw": "gw-1"}', '{"gw": 1, "sent": [1]}', "\xff"])
def test_what_is_none_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sent.jsonl"
    write_ledger(path, [], [filled(5)])
    path.write_text(path.read_text() + text + "\n")
    with pytest.raises(LedgerError, match="line 3"):
        read_ledger(path)
