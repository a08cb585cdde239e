"""`kerbstone audit`: its words, its lines, its exit codes."""

import json
from pathlib import Path

import pytest

from edge.cli.main import VERBS
from edge.platform.openstore import open_store
from edge.uplink.manifests import Manifests
from tests.kit.asread import as_read
from tests.kit.broker import free_port
from tests.kit.command import Command
from tests.kit.records import GW, entry, moment, record


@pytest.fixture(autouse=True)
def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VERBS, "audit", "")


@pytest.fixture(params=["store.db", "store.jsonl"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Numbers 1 to 1000 of a minute each, two days; 3 and 4 are missing. One manifest proves all
    that is behind them."""
    path = tmp_path / str(request.param)
    made = open_store(path, write=True)
    minutes = [record(n) for n in range(1, 1001) if n not in (3, 4)]
    manifests = Manifests()
    for each in minutes[2:]:
        manifests.handed(each, moment(each))
    (draft,) = manifests.due(0, all_=True)
    seal = record(1, stream=draft.stream, source="air", at=(60_000, 60_000), body=as_read(draft))
    made.commit([entry(each) for each in (*minutes, seal)], [])
    made.close()
    return path


def test_it_says_each_day_and_each_finding(kerbstone: Command, store: Path) -> None:
    said = kerbstone("audit", "--store", store)
    assert said.code == 1
    assert said.err == ""
    assert said.lines[0] == (
        f"{GW} 2026-11-25: 718 records, 718 numbers, 43080 s covered (least: air/hut), 0 gaps and "
        "0 drops declared, 0 manifests proved: 1 findings"
    )
    assert said.lines[1].startswith(f"{GW} 2026-11-26: 281 records")
    assert said.lines[1].endswith("1 manifests proved: complete")
    assert any(line.startswith("missing: ") and "3-4" in line for line in said.lines)
    assert said.lines[-1] == "1 gateways, 999 records: 1 findings"


def test_one_day_alone_is_complete(kerbstone: Command, store: Path) -> None:
    said = kerbstone("audit", "--store", store, "--day", "2026-11-26")
    assert said.code == 0, said.out
    assert "2026-11-25" not in said.out
    assert "nothing in the store is of" not in said.out
    assert kerbstone("audit", "--store", store, "--day", "2026-11-25").code == 1


def test_a_day_of_which_there_is_nothing_is_told(kerbstone: Command, store: Path) -> None:
    said = kerbstone("audit", "--store", store, "--day", "2026-11-29")
    assert "note: nothing in the store is of 2026-11-29" in said.lines


def test_programs_get_objects(kerbstone: Command, store: Path) -> None:
    said = kerbstone("audit", "--store", store, "--json", "--gateway", GW)
    lines = [json.loads(line) for line in said.lines]
    days = {line["day"]: line for line in lines if "records" in line and "day" in line}
    assert days["2026-11-25"]["covered_s"] == 43080.0
    assert days["2026-11-26"]["findings"] == 0
    assert lines[-1] == {
        "audit": "findings", "gateways": 1, "records": 999, "unsealed": 2, "findings": 1,
    }  # fmt: skip
    assert [line["day"] for line in lines if "finding" in line] == ["2026-11-25"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--day", "yesterday"], "2026-11-26"),
        (["--ask"], "--broker"),
        (["--ask", "--broker", "nonsense"], "mqtt"),
        (["--keys-ca", "x"], "--keys"),
        (["--unsigned-ok", GW], "--keys"),
        (["--keys", "/no/such/folder"], "/no/such/folder"),
    ],
)
def test_wrong_use_is_exit_2(kerbstone: Command, store: Path, words: list[str], says: str) -> None:
    said = kerbstone("audit", "--store", store, *words)
    assert said.code == 2
    assert says in said.err


def test_nothing_is_not_complete(kerbstone: Command, store: Path, tmp_path: Path) -> None:
    said = kerbstone("audit", "--store", store, "--gateway", "gw-9")
    assert (said.code, said.lines[0].split(":")[0]) == (1, "nothing")
    assert "gw-9" in said.lines[0]
    empty = tmp_path / f"empty{store.suffix}"
    open_store(empty, write=True).close()
    said = kerbstone("audit", "--store", empty, "--json")
    assert said.code == 1
    assert [json.loads(line).get("finding") for line in said.lines] == ["nothing", None]
    assert json.loads(said.lines[-1])["findings"] == 1


@pytest.mark.parametrize("name", ["none.db", "none.jsonl", "x.txt"])
def test_a_store_that_is_not_there_is_exit_2_and_none_is_made(
    kerbstone: Command, tmp_path: Path, name: str
) -> None:
    assert kerbstone("audit", "--store", tmp_path / name).code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_broker_that_is_not_there_is_exit_3(kerbstone: Command, store: Path) -> None:
    url = f"mqtt://127.0.0.1:{free_port()}"
    said = kerbstone("audit", "--store", store, "--ask", "--broker", url)
    assert said.code == 3
    assert url in said.err


def test_a_payload_that_rots_in_the_store_is_a_finding(kerbstone: Command, tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "store.db"
    made = open_store(path, write=True)
    made.commit([entry(record(n)) for n in (1, 2)], [])
    made.close()
    database = sqlite3.connect(path)
    with database:
        database.execute("UPDATE entry SET payload = x'8101' WHERE seq = 2")
    database.close()
    said = kerbstone("audit", "--store", path)
    assert said.code == 1
    assert f"damage: {GW} " in said.out
    assert "air/2" in said.out
