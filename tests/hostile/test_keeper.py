"""A hostile keeper of the store: who can write its files, and has no gateway's key.

Whatever is done to them, `kerbstone audit --keys` does not say that all is complete.
"""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgpack
import pytest

from edge.cli.main import VERBS, main
from edge.platform.openstore import open_store
from tests.audit.make import before_and_after_a_new_card
from tests.audit.tamper import (
    HALF_A_YEAR_US,
    SIGNATURE,
    hidden,
    redated,
    replayed,
    resealed,
    said,
    without,
)
from tests.kit.scripted import E1, E2, E3, GW, ScriptedGateway, Sent, device_key, entries, honest
from tests.long import more, one_in, size
from tests.platform.formerstore import tamper

SIGN, PEM = device_key()
Said = tuple[int, list[str], str]
Tamper = Callable[[ScriptedGateway], list[Sent]]


@pytest.fixture(autouse=True)
def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VERBS, "audit", "")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "gateway.pem").write_text(PEM)
    return folder


def kept(path: Path, messages: list[Sent]) -> Path:
    store = open_store(path, write=True)
    store.commit(entries(messages), [])
    store.close()
    return path


def audited(capsys: pytest.CaptureFixture[str], store: Path, *options: object) -> Said:
    """Exit code, kinds of findings, and the last line as people see it."""
    code = main(["audit", "--store", str(store), "--json", *map(str, options)])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    main(["audit", "--store", str(store), *map(str, options)])
    last = capsys.readouterr().out.splitlines()[-1]
    return code, sorted({line["finding"] for line in lines if "finding" in line}), last


SHIFTS: dict[str, Tamper] = {
    "epoch": lambda street: [each for each in street.messages if each.key[0] != E2],
    "signatures": lambda street: [
        Sent(m.topic, {k: v for k, v in m.payload.items() if k not in SIGNATURE})
        for m in street.messages
    ],
    "one record, resealed": lambda street: resealed(said(street, (E2, "energy", 3), covered_s=9.0)),
    "one source's times": lambda street: resealed(said(street, (E1, "air", 3), mono=[1, 2])),
    "all times": lambda street: redated(street.messages),
    "all times and maps": lambda street: resealed(
        redated(street.messages), dated=HALF_A_YEAR_US
    ),
    "what the last start says": lambda street: said(
        street, (E3, "manifest", 1), former={"epoch": E2, "last": {}}
    ),
    "a forged drop": lambda street: _forged(street, {
        "event": "drop", "epoch_of": E2, "stream_of": "*", "range": [1, None], "count": None,
    }),
    "a drop with a count": lambda street: _forged(street, {
        "event": "drop", "epoch_of": E2, "stream_of": "air", "range": [1, 4], "count": 4,
    }),
    "a drop without a count": lambda street: _forged(street, {
        "event": "drop", "epoch_of": E2, "stream_of": "air", "range": [1, None], "count": None,
    }),
}  # fmt: skip


def _forged(street: ScriptedGateway, body: dict[str, Any]) -> list[Sent]:
    """Four records are cut, and an event that nobody sealed excuses it."""
    street.event({**body, "reason": "damage", "text": ""}, "outbox")
    return without(street, *[(E2, "air", n) for n in range(1, 5)])


SHIFTS |= {"hidden by forged drops": hidden, "replayed manifests": replayed}


@one_in(3)
@pytest.mark.parametrize("suffix", [".db", ".jsonl"])
@pytest.mark.parametrize("what", SHIFTS)
def test_what_a_keeper_changes_is_never_complete(
    what: str, suffix: str, tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = kept(tmp_path / f"store{suffix}", SHIFTS[what](honest(SIGN)))
    code, kinds, last = audited(capsys, store, "--keys", keys)
    assert (code, bool(kinds), "complete" in last) == (1, True, False), (kinds, last)


@pytest.mark.parametrize("suffix", [".db", ".jsonl"])
def test_nobody_has_changed_it(
    suffix: str, tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the others would prove nothing."""
    store = kept(tmp_path / f"store{suffix}", honest(SIGN).messages)
    assert audited(capsys, store, "--keys", keys)[:2] == (0, [])
    assert audited(capsys, store)[:2] == (0, [])


TABLES = {
    "columns alone": "UPDATE record SET wall_from = replace(wall_from, '2026-11', '2026-05'),"
    " wall_to = replace(wall_to, '2026-11', '2026-05')",
    "worse times": "UPDATE record SET tq = 'none', wall_from = '1970-01-01T00:00:00.000Z',"
    " wall_to = '1970-01-01T00:01:00.000Z' WHERE stream = 'air'",
    "better times": "UPDATE record SET tq = 'nts', wall_from = '2026-05-25T00:00:00.000Z'",
    "no times": "UPDATE record SET wall_from = 'then', wall_to = '2026-11-25T12:00:00'",
    "numbers": "UPDATE record SET seq = seq + 100 WHERE stream = 'air' AND seq > 4",
    "boots": "UPDATE record SET boot = boot + 1",
    "payloads": "UPDATE record SET payload = x'80' WHERE stream = 'energy'",
    "the last epoch's seals": "UPDATE record SET received = '2026-11-24T13:00:00.000Z' WHERE"
    f" stream <> 'manifest'; DELETE FROM record WHERE epoch = {E3} AND stream = 'manifest'",
    "when it came": f"UPDATE record SET received = ''; DELETE FROM record WHERE epoch = {E3}"
    " AND stream = 'manifest'",
    "the first epoch": f"DELETE FROM record WHERE epoch = {E1}",
    "the tail": f"DELETE FROM record WHERE epoch = {E3} AND stream = 'air' AND seq > 2",
    "all of it": "DELETE FROM record",
    "the gateway": "DELETE FROM joined",
    "where we came": f"UPDATE joined SET epoch = {E3};"
    f"DELETE FROM record WHERE epoch = {E1} AND stream = 'air' AND seq BETWEEN 2 AND 4",
    "manifests": "DELETE FROM record WHERE stream = 'manifest'",
    "sources": "UPDATE record SET source = 'other' WHERE source = 'meter'",
    "topics": "UPDATE record SET topic = replace(topic, 'meter', 'other') WHERE source = 'meter'",
    "bounds": "UPDATE record SET tq = 'floor', bounds = 'x' WHERE stream = 'air' AND seq = 2",
    "times that are none": "UPDATE record SET wall_from = x'80' WHERE stream = 'air' AND seq = 2",
    "numbers that are none": "UPDATE record SET seq = x'80' WHERE stream = 'air' AND seq = 2",
    "arrivals that are none": "UPDATE record SET received = x'80' WHERE stream = 'air'",
    "a text that is none": "UPDATE record SET source = CAST(x'ff' AS TEXT) WHERE source = 'meter'",
    "a name that is none": "UPDATE record SET gw = CAST(x'ff' AS TEXT) WHERE stream = 'air'",
    "a stream that is none": "UPDATE record SET stream = CAST(x'ff' AS TEXT) WHERE stream = 'air'",
    "a time that is no text": "UPDATE record SET wall_to = CAST(x'32ff' AS TEXT) WHERE seq = 2",
    "a name twice": "UPDATE record SET payload = CAST(replace(CAST(payload AS TEXT),"
    """ '"covered_s":', '"covered_s":9.0,"covered_s":') AS BLOB) WHERE stream = 'air'""",
}


@one_in(3)
@pytest.mark.parametrize("what", TABLES)
def test_what_is_done_in_the_database_is_never_complete(
    what: str, tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = kept(tmp_path / "store.db", honest(SIGN).messages)
    tamper(store, TABLES[what])
    code, kinds, last = found = audited(capsys, store, "--keys", keys)
    assert (code, bool(kinds), "complete" in last) == (1, True, False), (kinds, last)
    open_store(store, write=True).close()
    assert audited(capsys, store, "--keys", keys) == found, "also when it is converted"


@pytest.mark.parametrize("how", ["a line twice", "a name twice"])
def test_a_file_of_lines_says_one_thing_only(
    how: str, tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """This program takes the first of two lines, and the last of two names; others do otherwise."""
    store = kept(tmp_path / "store.jsonl", honest(SIGN).messages)
    lines = store.read_text("utf-8").splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if '"stream":"air"' in line)
    if how == "a line twice":
        lines.append(lines[at].replace("60.0", "9.0"))
    else:
        lines[at] = lines[at].replace('"payload":', '"payload":"{}","payload":')
    store.write_text("".join(lines), "utf-8")
    code, kinds, _ = audited(capsys, store, "--keys", keys)
    assert (code, "damage" in kinds) == (1, True)


def test_a_gateway_that_is_taken_off_the_list_is_still_audited(
    tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside another one that is whole: else nobody would ask for it any more."""
    store = kept(tmp_path / "store.db", honest(SIGN).messages)
    tamper(
        store,
        "INSERT INTO record SELECT 'gw-0000', epoch, stream, seq,"
        " replace(topic, 'gw-0001', 'gw-0000'), source, boot, mono_from, mono_to, wall_from,"
        " wall_to, tq, bounds, received, content_type, CAST(replace(CAST(payload AS TEXT),"
        " 'gw-0001', 'gw-0000') AS BLOB), digest FROM record WHERE stream != 'manifest'",
    )
    code = main(["audit", "--store", str(store), "--json", "--keys", str(keys)])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (code, lines[-1]["gateways"]) == (1, 2)
    assert {line["gw"] for line in lines if "finding" in line} == {"gw-0000"}


def test_a_new_cards_clock_does_not_date_the_old_ones_records(
    tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A box with a new card counts its boots anew. Half a year later its manifest says by which
    moment a record of its own boot 1 went out again; that is no moment of the old card's boot 1."""
    old, new = before_and_after_a_new_card()
    for found, messages in ((["open"], old.messages), (["open", "time"], redated(old.messages))):
        store = kept(tmp_path / f"{len(found)}.db", [*messages, *new.messages])
        assert audited(capsys, store, "--keys", keys)[:2] == (1, found)


def test_what_nobody_can_find_is_said(
    tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That a store began later than it did, and that its end was not sealed yet: the operator has
    to know when he began, and what should be here by now."""
    street = honest(SIGN)
    later = [each for each in street.messages if each.key[0] != E1]
    store = kept(tmp_path / "later.db", later)
    assert main(["audit", "--store", str(store), "--keys", str(keys)]) == 0
    assert f"the store begins with epoch {E2}" in capsys.readouterr().out
    ends = [each for each in street.messages if each.key[:2] != (E3, "manifest")]
    store = kept(tmp_path / "ends.db", ends)
    assert main(["audit", "--store", str(store), "--keys", str(keys)]) == 0
    assert "complete except for 13 numbers that no manifest seals yet" in capsys.readouterr().out


def test_the_data_cannot_say_that_a_gateway_need_not_sign(
    tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the operator can, for gateways whose keys lie in a TPM, and then nothing is proved."""
    messages = [
        Sent(m.topic, {**m.payload, "tpm": True, "alg": "none"}) if m.key[1] == "manifest" else m
        for m in honest().messages
    ]
    store = kept(tmp_path / "store.db", resealed(messages))
    code, kinds, _ = audited(capsys, store, "--keys", keys)
    assert (code, "unsigned" in kinds) == (1, True)
    assert audited(capsys, store, "--keys", keys, "--unsigned-ok", "gw-0002")[0] == 1
    code, kinds, _ = audited(capsys, store, "--keys", keys, "--unsigned-ok", GW)
    assert (code, kinds) == (0, [])
    main(["audit", "--store", str(store), "--keys", str(keys), "--unsigned-ok", GW])
    said_ = capsys.readouterr().out
    assert "prove nothing" in said_
    assert "1 manifests proved" not in said_


@more
@pytest.mark.parametrize("seed", range(size(10, 40)))
def test_one_byte_anywhere_in_a_payload_is_found(
    seed: int, tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a record that a manifest seals; the envelope's marks prove nothing."""
    rng = Random(seed)
    store = kept(tmp_path / "store.db", honest(SIGN).messages)
    database = sqlite3.connect(store)
    rows = database.execute(
        "SELECT rowid_, payload FROM (SELECT epoch || '/' || stream || '/' || seq AS rowid_,"
        " payload FROM record WHERE stream IN ('air', 'energy'))"
    ).fetchall()
    name, payload = rng.choice(rows)
    changed = json.loads(payload)
    field = rng.choice([key for key in changed if key not in ("v", "source")])
    changed[field] = _other(changed[field], rng)
    epoch, stream, seq = name.split("/")
    with database:
        database.execute(
            "UPDATE entry SET payload = ? WHERE numbering ="
            " (SELECT id FROM numbering WHERE epoch = ? AND stream = ?) AND seq = ?",
            (
                rng.choice((json.dumps(changed).encode(), msgpack.packb(changed))),
                epoch,
                stream,
                seq,
            ),
        )
    database.close()
    code, kinds, _ = audited(capsys, store, "--keys", keys)
    assert (code, bool(kinds)) == (1, True), (field, changed[field])


def _other(value: Any, rng: Random) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + rng.choice((1, -1, 1e9))
        case str():
            return value.replace("2026", "2025") if "2026" in value else value + "x"
        case list():
            return [*value[:-1], _other(value[-1], rng)]
        case dict():
            return {**value, "x": 1}
    return 0
