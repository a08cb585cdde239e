"""`kerbstone outbox`: what waits, from the daemon or, without one, from the file itself."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from edge.cli.main import main
from edge.core import Draft, Stamp, Stream
from edge.outbox import AsyncOutbox, OutboxCounts
from tests.cli.answering_daemon import answering
from tests.kit.clock import NONE


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "site.toml"
    file.write_text(
        f'[site]\nid = "s"\ngateway = "g"\n[store]\ndir = "{tmp_path}/store"\n'
        f'run_dir = "{tmp_path}/run"\n[uplink]\nurl = "mqtt://localhost"\nconfirm = "broker"\n'
    )
    return file


async def fill(tmp_path: Path) -> None:
    writer = await AsyncOutbox.start(
        tmp_path / "store", limit_bytes=8 << 20, boot_id="b", run_dir=tmp_path / "run"
    )
    drafts = [Draft(Stream.AIR, "hut", i, i + 1, {"covered_s": 1.0}) for i in range(3)]
    await writer.commit(drafts, clock=Stamp(5, 5, NONE))
    await writer.close()


async def test_without_a_daemon_the_file_itself_is_looked_at(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    await fill(tmp_path)
    assert main(["outbox", "--config", str(config), "--json"]) == 0
    reported = json.loads(capsys.readouterr().out)
    assert (reported["rows"], reported["streams"]) == (3, {"air": 3})
    assert 0 < reported["size"] < reported["limit"]
    assert main(["outbox", "--config", str(config)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("g at s, from the files; no daemon runs\n")
    assert "outbox    3 records waiting; " in said
    assert "  air                3\n" in said
    assert "not known without the daemon" in said
    assert main(["status", "--config", str(config)]) == 3
    said = capsys.readouterr().out
    assert "outbox    3 records waiting; " in said
    assert "systemctl start kerbstone" in said


def test_the_daemon_tells_it_in_words(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = asdict(
        OutboxCounts(rows=4, streams={"event": 1, "air": 3}, size=2 << 20, limit=16 << 20,
        dropped=7,
               dead_letters=1, downsampled=9, forecast_s=90_000.0, forecast_downsampled_s=900_000.0)
    )  # fmt: skip
    undeclared = [
        {"epoch": 1, "stream": "raw", "reason": "full", "first": 3, "last": 9, "count": 7}
    ]
    letters = [{"stream": "air", "seq": 5, "source": "hut", "why": "Packet too large (149)"}]
    more = {"age_s": 7300.0, "boot": 1, "undeclared": undeclared, "letters": letters, "odd": None}
    with answering(tmp_path / "run", {"outbox": {**counts, **more}}):
        assert main(["outbox", "--config", str(config)]) == 0
        said = capsys.readouterr().out
        assert main(["outbox", "--config", str(config), "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {**counts, **more}
    assert max(map(len, said.splitlines())) <= 80
    words = " ".join(said.split())
    for part in (
        "g at s, as the daemon reports",
        "4 records waiting; 2.0 MB of 16 MB used (12%)",
        "the oldest has waited 2 h 1 min",
        "25 h; with downsampling 10 days at the present rate",
        "air 3 event 1",
        "7 records lost since the start; 9 merged into quarter hours",
        "lost, and not yet reported by an event: 7 records of raw, numbers 3 to 9: there was no",
        "1 dead letter (refused for good), no files in quarantine",
        "air/5 of hut: Packet too large (149)",
        "odd: not known without the daemon",
    ):
        assert part in words, part


def test_where_there_is_no_outbox_it_says_so(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["outbox", "--config", str(config)]) == 3
    assert "there is no outbox" in capsys.readouterr().err
