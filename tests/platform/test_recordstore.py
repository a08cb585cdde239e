"""All stores keep the same, whatever order it comes in, and give back what went in."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import ConfigError, Stream, TimeQuality
from edge.platform import keepquota
from edge.platform.openstore import StorePlace, open_store
from edge.platform.receivedrecord import (
    ReceivedRecord,
    RefusedMessage,
)
from edge.platform.recordstore import RecordStore, RecordStoreError
from tests.kit.clock import NONE, NTP, RTC
from tests.kit.records import E1, E2, GW, KINDS, POSTGRES, TOPICS, entry, record
from tests.long import examples


@pytest.fixture
def store(place: StorePlace) -> Iterator[RecordStore]:
    made = open_store(place, write=True)
    yield made
    made.close()


def verdicts(store: RecordStore, *entries: ReceivedRecord) -> list[str]:
    return [done.verdict for done in store.commit(entries, [])]


def kept(path: StorePlace, gw: str = GW) -> list[ReceivedRecord]:
    store = open_store(path, write=False)
    found = list(store.records(gw))
    store.close()
    return found


def test_what_goes_in_comes_out_in_the_order_of_keys(store: RecordStore, place: StorePlace) -> None:
    wanted = [entry(record(n), encoding="json" if n % 2 else "msgpack") for n in (1, 2, 3)]
    assert verdicts(store, wanted[2], wanted[0]) == ["stored", "stored"]
    assert verdicts(store, wanted[1]) == ["stored"]
    assert list(store.records(GW)) == wanted
    assert kept(place) == wanted, "another process reads it meanwhile"
    assert list(store.records(GW, "energy")) == []
    assert list(store.record_range((GW, E1, "air", 2), 3)) == wanted[1:]
    assert store.gateways() == [(GW, E1)]
    assert [each.sent()["x"] for each in wanted] == [1, 2, 3]


def test_the_first_epoch_that_came_is_the_one_it_joined_in(
    store: RecordStore, place: StorePlace
) -> None:
    store.commit([entry(record(1, epoch=E2))], [])
    store.commit([entry(record(1, epoch=E1))], [])
    assert store.gateways() == [(GW, E2)]
    store.close()
    again = open_store(place, write=False)
    assert again.gateways() == [(GW, E2)]
    again.close()


def test_the_same_again_is_kept_once_with_the_best_times(
    store: RecordStore, place: StorePlace
) -> None:
    one = record(1)
    assert verdicts(store, entry(one, NONE)) == ["stored"]
    repeats = entry(one, NTP, redelivered=True), entry(one, RTC, backfilled=True)
    assert verdicts(store, *repeats) == ["repeat", "repeat"]
    assert [each.wall.tq for each in store.records(GW)] == ["ntp"]
    store.close()
    assert [each.wall.tq for each in kept(place)] == ["ntp"]


def test_the_encoding_is_no_content(store: RecordStore) -> None:
    assert verdicts(store, entry(record(1)), entry(record(1), encoding="json")) == [
        "stored", "repeat",
    ]  # fmt: skip


def test_a_conflict_is_kept_beside_the_first_and_once(
    store: RecordStore, place: StorePlace
) -> None:
    first, second = entry(record(1)), entry(record(1, body={"x": "other"}))
    assert verdicts(store, first, second, second) == ["stored", "conflict", "conflict"]
    assert list(store.records(GW)) == [first]
    assert list(store.conflicts(GW)) == [second]
    store.close()
    again = open_store(place, write=True)
    assert verdicts(again, second, first) == ["conflict", "repeat"]
    assert list(again.conflicts(GW)) == [second]
    again.close()


def refused(gw: str, number: int = 0, size: int = 2, kind: Any = "undecodable") -> RefusedMessage:
    return RefusedMessage(kind, gw, f"k/s/{gw}/up/x", "why", number, b"\xff" * size, "now")


def tallied(store: RecordStore) -> dict[tuple[str, str], tuple[int, int]]:
    return {(gw, kind): (tally.kept, tally.not_kept) for gw, kind, tally in store.tallies()}


def refused_kept(place: StorePlace) -> list[tuple[str, str, int]]:
    """Gateway, kind and size of what is there of refused messages."""
    query = "SELECT gw, kind, size FROM {} ORDER BY id"
    if isinstance(place, str):
        with psycopg.connect(place) as city:
            return city.execute(query.format("kerbstone.refused")).fetchall()
    if place.suffix == ".jsonl":
        lines = place.with_suffix(".refused.jsonl").read_text().splitlines()
        return [(line["gw"], line["kind"], line["size"]) for line in map(json.loads, lines)]
    with contextlib.closing(sqlite3.connect(place)) as db:
        return db.execute(query.format("refused")).fetchall()


def test_what_one_gateway_is_refused_leaves_the_room_of_another(
    store: RecordStore, place: StorePlace
) -> None:
    store.commit([], [refused("gw-evil", number) for number in range(1200)])
    store.commit([], [refused("gw-2", 7), refused("gw-evil", 8, kind="foreign")])
    kept_of_it = keepquota.KEPT_PER_KIND, 1200 - keepquota.KEPT_PER_KIND
    wanted = {
        ("gw-2", "undecodable"): (1, 0), ("gw-evil", "foreign"): (1, 0),
        ("gw-evil", "undecodable"): kept_of_it,
    }  # fmt: skip
    assert tallied(store) == wanted
    assert [each[2] for each in refused_kept(place)] == [*range(keepquota.KEPT_PER_KIND), 7, 8]
    store.close()
    again = open_store(place, write=True)
    assert tallied(again) == wanted, "and that is remembered"
    again.commit([], [refused("gw-evil")])
    assert tallied(again)["gw-evil", "undecodable"] == (
        keepquota.KEPT_PER_KIND,
        1201 - keepquota.KEPT_PER_KIND,
    )
    again.close()


def test_few_large_ones_fill_the_room_of_a_gateway_too(
    store: RecordStore, place: StorePlace
) -> None:
    large = keepquota.BYTES_PER_KIND // 4
    store.commit([], [refused("gw-evil", number, large) for number in range(6)])
    assert tallied(store) == {("gw-evil", "undecodable"): (3, 3)}
    assert len(refused_kept(place)) == 3


def test_names_that_are_made_up_have_one_room_together(
    store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepquota, "GATEWAYS_LIMIT", 20)
    store.commit([], [refused(f"gw-{number:03d}") for number in range(300)])
    found = tallied(store)
    assert len(found) == 21
    assert found["", "undecodable"] == (keepquota.KEPT_PER_KIND, 280 - keepquota.KEPT_PER_KIND)


def test_contents_under_one_key_do_not_fill_the_disk(store: RecordStore, place: StorePlace) -> None:
    """As a gateway that seals nothing can send them without an end."""
    others = [entry(record(1, body={"x": f"other {number}"})) for number in range(250)]
    assert verdicts(store, entry(record(1))) == ["stored"]
    found = verdicts(store, *others)
    assert found == ["conflict"] * keepquota.KEPT_PER_KIND + ["excess"] * (
        250 - keepquota.KEPT_PER_KIND
    )
    assert list(store.records(GW)) == [entry(record(1))]
    assert len(list(store.conflicts(GW))) == keepquota.KEPT_PER_KIND
    store.close()
    again = open_store(place, write=True)
    assert verdicts(again, others[0], others[-1]) == ["conflict", "excess"], "kept is kept"
    assert tallied(again) == {
        (GW, "conflict"): (keepquota.KEPT_PER_KIND, 251 - keepquota.KEPT_PER_KIND)
    }
    topic = TOPICS.record(Stream.AIR, "hut").replace(GW, "gw-2")
    for number, verdict in ((1, "stored"), (2, "conflict")):
        other = replace(others[number], topic=topic, key=("gw-2", E1, "air", 1))
        assert verdicts(again, other) == [verdict], "the room of another is its own"
    assert len(list(again.conflicts(GW))) == keepquota.KEPT_PER_KIND
    again.close()


def test_a_damaged_tally_is_told_and_does_not_stop_the_store(tmp_path: Path) -> None:
    path = tmp_path / "store.jsonl"
    store = open_store(path, write=True)
    store.commit([], [refused("gw-evil")])
    store.close()
    for content in (b"", b"[", b"{}", b'[{"gw": 1}]', b"[1]", b"[" * 5000, b"\xff", b"null"):
        path.with_suffix(".tally.json").write_bytes(content)
        again = open_store(path, write=True)
        assert verdicts(again, entry(record(1)))[0] in ("stored", "repeat")
        assert again.damage.lines == (content != b"{}"), content
        again.close()


def test_a_second_writer_is_refused_and_a_reader_is_not(
    store: RecordStore, place: StorePlace
) -> None:
    store.commit([entry(record(1))], [])
    if not isinstance(place, str):  # a database is for any number of them
        with pytest.raises(ConfigError, match="another"):
            open_store(place, write=True)
    assert len(kept(place)) == 1
    store.close()
    open_store(place, write=True).close()


def test_the_name_stays(store: RecordStore, place: StorePlace) -> None:
    name = store.name
    store.close()
    again = open_store(place, write=True)
    assert again.name == name
    again.close()


@pytest.mark.parametrize("name", ["x.txt", "x", "none/x.db", "none/x.jsonl"])
def test_what_is_no_store_is_wrong_use(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        open_store(tmp_path / name, write=True)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("content", [b"some notes\n", b"no line", b'{"a": 1}\n', b"\0" * 5000])
def test_a_file_of_somebody_else_is_refused_and_left_alone(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    for write in (True, False):
        with pytest.raises((ConfigError, RecordStoreError)):
            open_store(path, write=write)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("numbering", "gw", "gw-\u00e4"), ("numbering", "stream", "\u00e4ir"),
        ("numbering", "epoch", "then"), ("entry", "payload", "text"), ("entry", "origin", 99),
        ("entry", "wall_from", b"\xff"), ("entry", "bounds", "soon"), ("origin", "topic", None),
    ],
)  # fmt: skip
def test_a_row_that_this_program_has_not_written_is_no_record(
    tmp_path: Path, table: str, column: str, value: Any
) -> None:
    path = tmp_path / "city.db"
    store = open_store(path, write=True)
    store.commit([entry(record(1, stream=Stream.ENERGY, source="a")), entry(record(2))], [])
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = 1", (value,))
        db.commit()
    store = open_store(path, write=False)
    asked = GW, "gw-\u00e4"  # whoever asks for such a name gets none either
    assert [each.key[3] for gw in asked for each in store.records(gw)] == [2]
    assert store.damage.lines == 1
    store.close()


def test_a_last_line_that_was_cut_anywhere_is_cut_off_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "store.jsonl"
    store = open_store(path, write=True)
    store.commit([entry(record(1)), entry(record(2))], [])
    store.close()
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for cut in [*range(start + 1, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:cut])
        reader = open_store(path, write=False)
        assert [each.key[3] for each in reader.records(GW)] == [1]
        reader.close()
        again = open_store(path, write=True)
        assert again.damage.torn_bytes == cut - start
        assert verdicts(again, entry(record(2))) == ["stored"]
        again.close()
        assert path.read_bytes() == whole


def test_every_shorter_file_opens(tmp_path: Path) -> None:
    """Also one that was cut within its first line: then nothing was ever in it."""
    path = tmp_path / "store.jsonl"
    store = open_store(path, write=True)
    store.commit([entry(record(1))], [])
    store.close()
    whole = path.read_bytes()
    for cut in range(0, len(whole), 11):
        path.write_bytes(whole[:cut])
        again = open_store(path, write=True)
        assert verdicts(again, entry(record(1))) == ["stored"]
        again.close()


def test_a_line_that_is_damaged_is_left_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "store.jsonl"
    store = open_store(path, write=True)
    store.commit([entry(record(n)) for n in (1, 2, 3)], [])
    store.close()
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b"\0" * 40 + b"\n"
    path.write_bytes(b"".join(lines))
    again = open_store(path, write=True)
    assert again.damage.lines == 1
    assert [each.key[3] for each in again.records(GW)] == [1, 3]
    again.close()
    assert path.read_bytes() == b"".join(lines)


CAME = st.tuples(
    st.sampled_from([E1, E2]),
    st.sampled_from([Stream.AIR, Stream.ENERGY]),
    st.integers(1, 4),
    st.sampled_from(["a", "a", "b"]),  # the content
    st.sampled_from(TimeQuality),
)


@pytest.mark.parametrize("name", [*KINDS, POSTGRES])
@settings(max_examples=examples(25), deadline=None)
@given(groups=st.lists(st.lists(CAME, max_size=8), max_size=5))
def test_a_store_is_the_first_content_of_each_key(
    name: str,
    groups: list[list[tuple[int, Stream, int, str, TimeQuality]]],
    request: pytest.FixtureRequest,
) -> None:
    """Held against a dictionary; closed and opened after each group."""
    order = ["none", "floor", "rtc", "ntp", "nts"]
    truth: dict[tuple[int, str, int], tuple[str, str]] = {}
    beside: set[tuple[int, str, int, str]] = set()
    with TemporaryDirectory() as folder:
        path: StorePlace = Path(folder) / name
        if name == POSTGRES:
            path = request.getfixturevalue("postgres").database()
        for group in groups:
            store = open_store(path, write=True)
            entries, wanted = [], []
            for epoch, stream, seq, content, tq in group:
                one = record(seq, epoch=epoch, stream=stream, body={"c": content})
                entries.append(entry(one, tq))
                key = epoch, str(stream), seq
                known = truth.get(key)
                if known is None:
                    wanted.append("stored")
                    truth[key] = content, tq
                elif known[0] != content:
                    wanted.append("conflict")
                    beside.add((*key, content))
                else:
                    wanted.append("repeat")
                    truth[key] = content, max(known[1], tq, key=order.index)
            assert verdicts(store, *entries) == wanted
            store.close()
        if truth:
            store = open_store(path, write=False)
            have = {e.key[1:]: (e.sent()["c"], e.wall.tq) for e in store.records(GW)}
            assert have == truth
            assert {(*e.key[1:], e.sent()["c"]) for e in store.conflicts(GW)} == beside
            store.close()


def test_a_long_torn_line_leaves_nothing_behind_a_short_new_one(tmp_path: Path) -> None:
    path = tmp_path / "store.jsonl"
    open_store(path, write=True).close()
    start = path.stat().st_size
    with path.open("ab") as file:
        file.write(b'{"kind":"record","payload":"' + b"x" * 100_000)
    again = open_store(path, write=True)
    assert again.damage.torn_bytes > 100_000
    assert path.stat().st_size == start
    assert verdicts(again, entry(record(1))) == ["stored"]
    again.close()
    assert [each.key[3] for each in kept(path)] == [1]
