"""What a commit gives back goes to the sender as it is: it says the same as the row on the disk."""

import math
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from edge.core import Draft, Envelope, Record, Stream, TimeQuality
from edge.outbox import StoredRecord
from edge.outbox.deflate import DEFLATE_MARKER
from edge.outbox.epochs import EpochStart, Numbering
from edge.outbox.rowformat import (
    COMPRESS_FROM_BYTES,
    OutboxRow,
    make_rows,
    pack_body,
    row_to_record,
)
from edge.wire.digestchain import CHAIN_START, chain_record
from edge.wire.records import encode
from edge.wire.strict import WireError
from tests.kit.outbox import everything, opened


class Word(StrEnum):
    OK = "ok"


class Number(IntEnum):
    TWO = 2


NO_NUMBERS = (math.nan, math.inf, -math.inf)
START = EpochStart(3, 3 << 32, 2, "b", False, None, False, 0)
SENT = Envelope(1_790_000_000_000_000_000, 1_790_000_060_000_000_000, TimeQuality.NTP)
names = st.text(max_size=4).map("k{}".format)  # none of the header
decimals = st.builds(lambda whole, digits: whole / 10**digits, st.integers(-(1 << 34), 1 << 34),
                     st.integers(0, 9))  # fmt: skip
scalars = (
    st.floats() | decimals | st.integers(-(1 << 63), (1 << 64) - 1) | st.text(max_size=8)
    | st.none() | st.booleans() | st.just(Word.OK) | st.just(Number.TWO)
    | st.sampled_from([-0.0, 0.0, 1e-5, 1e-4])
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(names, inner, max_size=4)
    ),
    max_leaves=10,
)
bodies = st.dictionaries(names, values, max_size=4)
long = {f"p{n}": {"mean": 230.1 + n / 7, "counts": (1, 2.5, n), "of": Word.OK} for n in range(20)}


def on_the_wire(record: Record) -> list[Any]:
    """In both encodings, and as its link of the chain that manifests sign."""
    return [*(sent(record, encoding) for encoding in ("json", "msgpack")),
            chain_record(CHAIN_START, record)]  # fmt: skip


def sent(record: Record, encoding: Any) -> Any:
    try:
        return encode(record, SENT, "gw", encoding)
    except WireError as error:  # not a number, or infinite: neither of the two can be sent
        return str(error)


def committed(drafts: list[Draft]) -> tuple[list[OutboxRow], list[StoredRecord]]:
    packed = [(draft, pack_body(draft)) for draft in drafts]
    keys, _ = Numbering(START).next_keys([draft.stream for draft in drafts])
    return make_rows(list(zip(packed, keys, strict=True)), (START.number << 32) + 1, START.boot)


def check_bytes(made: list[tuple[Stream, dict[str, Any]]]) -> None:
    rows, stored = committed([Draft(stream, "hut", 1, 2, body) for stream, body in made])
    assert [each.row for each in stored] == [row.id for row in rows]
    assert [on_the_wire(each.record) for each in stored] == [
        on_the_wire(row_to_record(row)) for row in rows
    ]


@given(st.lists(st.tuples(st.sampled_from(list(Stream)), bodies), min_size=1, max_size=2))
def test_a_committed_row_is_sent_byte_for_byte_as_if_it_were_read_again(
    made: list[tuple[Stream, dict[str, Any]]],
) -> None:
    check_bytes(made)


def test_a_long_row_is_sent_as_if_it_were_read_again_and_so_is_one_that_cannot_be_sent() -> None:
    check_bytes([(stream, long) for stream in Stream])
    check_bytes([(Stream.TRAFFIC, {}), *((Stream.AIR, {**long, "n": n}) for n in NO_NUMBERS)])


def test_what_an_outbox_gives_back_is_what_it_reads_again(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    made = [Draft(stream, "hut", 1, 2, long) for stream in Stream]
    stored = outbox.commit(made)
    assert [each.record.body for each in stored] == [long] * len(made)
    assert [(each.row, on_the_wire(each.record)) for each in stored] == [
        (each.row, on_the_wire(each.record)) for each in everything(outbox)
    ]
    outbox.close()


def test_the_long_body_here_is_compressed_and_what_is_in_it_is_not_plain() -> None:
    packed = msgpack.packb(long)
    assert len(packed) > COMPRESS_FROM_BYTES
    assert pack_body(Draft(Stream.ENERGY, "hut", 1, 2, long))[:1] == DEFLATE_MARKER
    assert msgpack.unpackb(packed) != long, "tuples come back as lists"
