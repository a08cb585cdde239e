"""`kerbstone outbox`: what waits, from the daemon or, without one, from the file itself."""

import json
from pathlib import Path

import pytest

from edge.cli.main import main
from edge.core import Draft, Stream
from edge.store import Mark, Writer


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "site.toml"
    file.write_text(
        f'[site]\nid = "s"\ngateway = "g"\n[store]\ndir = "{tmp_path}/store"\n'
        f'run_dir = "{tmp_path}/run"\n[uplink]\nurl = "mqtt://localhost"\nconfirm = "broker"\n'
    )
    return file


async def fill(tmp_path: Path) -> None:
    writer = await Writer.start(
        tmp_path / "store", limit_bytes=8 << 20, boot_id="b", run_dir=tmp_path / "run"
    )
    drafts = [Draft(Stream.AIR, "hut", i, i + 1, {"covered_s": 1.0}) for i in range(3)]
    await writer.commit(drafts, clock=Mark(5, 5, "none"))
    await writer.close()


async def test_without_a_daemon_the_file_itself_is_looked_at(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    await fill(tmp_path)
    assert main(["outbox", "--config", str(config), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["streams"]) == (3, {"air": 3})
    assert 0 < told["size"] < told["limit"]
    assert main(["outbox", "--config", str(config)]) == 0
    assert "rows         3" in capsys.readouterr().out


def test_where_there_is_no_outbox_it_says_so(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["outbox", "--config", str(config)]) == 3
    assert "there is no outbox" in capsys.readouterr().err
