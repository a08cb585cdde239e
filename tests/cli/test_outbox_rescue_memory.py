"""`kerbstone outbox rescue` of what lay in the run directory: the log of memory, and a stage."""

import json
import shutil
from pathlib import Path

import msgpack
import pytest

from edge.acquire.stage import STAGE_FRAMES, Stage
from edge.core import Contact, Stamp, Sweep, all_good
from edge.outbox import Outbox
from tests.kit.clock import NTP
from tests.kit.command import Command
from tests.kit.rescued import LIMIT, S, drafts, keys


def test_what_lay_in_memory_and_a_stage_with_an_open_window(
    tmp_path: Path, kerbstone: Command
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    outbox = Outbox.open(
        tmp_path / "o", limit_bytes=LIMIT, boot_id="b", run_dir=run, ballast_bytes=0
    )
    outbox.begin()
    outbox._storage.switch_to_memory(OSError(5, "Input/output error"))
    outbox.commit(drafts(20), clock=Stamp(400 * S, 1_790_000_400 * S, NTP))
    said = kerbstone("outbox", "rescue", run / "commit.log", "--out", tmp_path / "m.jsonl")
    assert said.code == 0
    assert len([key for key in keys(tmp_path / "m.jsonl") if key[0] == "air"]) == 20
    outbox.close()

    stage = Stage(run, "boot")
    stage.rotate(0, 60 * S, [], [])
    stage.add_contacts([Contact("north", True, 5, 0, False)])
    stage.add_sweeps([Sweep("hut", 7, (1.5, 2.5), all_good(2))])
    stage.close()
    said = kerbstone("outbox", "rescue", run / "stage.00000001")
    assert said.code == 2
    assert "--out" in said.err
    said = kerbstone("outbox", "rescue", run / "stage.00000001", "--out", tmp_path / "s.jsonl")
    assert said.code == 0
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["window", "contact", "sweep"]
    assert lines[2]["values"] == [1.5, 2.5]


def in_memory(folder: Path) -> Path:
    """The log of an outbox that has never seen its disk work: six commits of twenty records."""
    run = folder / "run"
    run.mkdir()
    outbox = Outbox.open(folder / "o", limit_bytes=LIMIT, boot_id="b", run_dir=run, ballast_bytes=0)
    outbox.begin()
    outbox._storage.switch_to_memory(OSError(5, "Input/output error"))
    for first in range(0, 120, 20):
        outbox.commit(drafts(20, first), clock=Stamp(400 * S, 1_790_000_400 * S, NTP))
    shutil.copy(run / "commit.log", folder / "kept.log")
    outbox.close()
    return folder / "kept.log"


def test_a_log_of_memory_with_a_damaged_commit_is_not_called_whole(
    tmp_path: Path, kerbstone: Command
) -> None:
    log = in_memory(tmp_path)
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)
    said = kerbstone("outbox", "rescue", log, "--out", tmp_path / "a.jsonl", "--json")
    reported = json.loads(said.out)
    assert (said.code, reported["written"]) == (1, 101)
    assert "cannot be read" in reported["trouble"]


def staged_file(folder: Path, *entries: object) -> Path:
    """A stage with these entries, whose checksums are right."""
    head = {"v": 2, "boot": "b", "owner": "", "window": [0, 5], "carried": 0, "staged": [{}, False]}
    path = folder / "stage.00000001"
    bodies = [msgpack.packb(each) for each in (head, *entries)]
    path.write_bytes(b"".join(map(STAGE_FRAMES.pack, bodies)))
    return path


@pytest.mark.parametrize(
    "entry",
    [7, None, [], ["m", "x"], ["g", 1], ["c", [[1, 2]]], ["c", 5], ["r", 1], ["s", [["a", 1, 2]]],
     ["s", [["a", 1, [b"x"], None]]], ["s", [["a", 1, [1.0], ["awful"]]]], {"c": 1}],
)  # fmt: skip
def test_a_stage_with_anything_in_it_is_said_to_be_damaged(
    tmp_path: Path, kerbstone: Command, entry: object
) -> None:
    path = staged_file(tmp_path, ["m", 5], entry, ["m", 9])
    said = kerbstone("outbox", "rescue", path, "--out", tmp_path / "a.jsonl", "--json")
    assert (said.code, said.err) == (1, "")
    assert json.loads(said.out)["trouble"]
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) >= 2, "what came before it"


def test_a_stage_that_cannot_be_read_to_its_end_is_not_called_whole(
    tmp_path: Path, kerbstone: Command
) -> None:
    path = staged_file(tmp_path, ["m", 5], ["m", 7], ["m", 9])
    data = bytearray(path.read_bytes())
    data[-16] ^= 1  # in the last but one
    path.write_bytes(data)
    said = kerbstone("outbox", "rescue", path, "--out", tmp_path / "a.jsonl", "--json")
    reported = json.loads(said.out)
    assert (said.code, reported["entries"]) == (1, 2)
    assert "bytes" in reported["trouble"]
