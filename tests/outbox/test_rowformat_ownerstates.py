"""States of owners on disk: long ones compressed, damage found, those of before still read."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from edge.outbox.deflate import DEFLATE_MARKER, compress
from edge.outbox.rowformat import (
    COMPRESS_STATE_FROM,
    MAX_STATE,
    DamagedRowError,
    pack_state,
    row_checksum,
    unpack_state,
)
from tests.kit.outbox import opened

LONG = bytes(range(256)) * 40


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"short",
        DEFLATE_MARKER,
        DEFLATE_MARKER + b"short",
        LONG,
        compress(LONG),
        bytes(COMPRESS_STATE_FROM + 1),
    ],
)
def test_a_state_comes_back_as_it_was(data: bytes) -> None:
    stored = pack_state(data)
    assert unpack_state("x", 1, stored, row_checksum("x", 1, stored)) == data


def test_a_long_state_is_kept_short() -> None:
    assert len(pack_state(LONG)) < len(LONG) / 10
    assert pack_state(bytes(COMPRESS_STATE_FROM)) == bytes(COMPRESS_STATE_FROM)


@pytest.mark.parametrize(
    "stored",
    [
        compress(LONG)[:-1],
        compress(LONG) + b"x",
        DEFLATE_MARKER,
        compress(bytes(MAX_STATE + 1)),
        None,
        7,
    ],
    ids=["cut", "tail", "nothing", "bomb", "null", "number"],
)
def test_a_state_that_nobody_wrote_is_damage(stored: Any) -> None:
    with pytest.raises(DamagedRowError):
        unpack_state("x", 1, stored, row_checksum("x", 1, stored))


def test_the_outbox_gives_states_back_over_a_restart_and_counts_damage(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit((), {"long": (3, LONG), "bad": (1, LONG), "short": (1, b"s")})
    outbox.close()
    other = sqlite3.connect(tmp_path / "outbox" / "outbox.db")
    ((size,),) = other.execute("SELECT length(data) FROM state WHERE owner = 'long'")
    assert size < len(LONG) / 10
    cut = compress(LONG)[:-2]
    other.execute(
        "UPDATE state SET data = ?, crc = ? WHERE owner = 'bad'", (cut, row_checksum("bad", 1, cut))
    )
    # as it was written before states were compressed
    plain = b"\x81\xa1k" + LONG
    other.execute(
        "INSERT INTO state VALUES ('old', 1, ?, ?)", (plain, row_checksum("old", 1, plain))
    )
    other.commit()
    other.close()
    outbox = opened(tmp_path)
    outbox.begin()
    assert outbox.state("long") == (3, LONG)
    assert outbox.state("old") == (1, plain)
    assert outbox.state("short") == (1, b"s")
    assert outbox.state("bad") is None
    assert outbox.counts().damaged == 1
    outbox.close()
