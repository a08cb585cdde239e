"""`kerbstone outbox rescue` to the broker: what is sent is receipted, what is not is said."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kit.broker import BINARY, Mosquitto
from tests.kit.command import Command
from tests.kit.rescued import OWNER, damaged, filled, site


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    if not Path(BINARY).exists():
        pytest.skip("needs mosquitto")
    made = Mosquitto(tmp_path / "broker").start()
    yield made
    made.kill()


@contextmanager
def receipts(broker: Mosquitto, store: Path) -> "Iterator[subprocess.Popen[str]]":
    """The city's side, as a process of its own."""
    words = ["receipts", "--broker", broker.url, "--store", str(store)]
    with subprocess.Popen(
        [sys.executable, "-m", "edge.cli.main", *words], stderr=subprocess.PIPE, text=True
    ) as city:
        assert city.stderr is not None
        assert "listening" in city.stderr.readline()
        yield city
        city.terminate()  # what was confirmed is stored
        assert city.wait(60) == 0


@pytest.mark.parametrize("harm", [False, True])
def test_what_is_sent_is_receipted_and_audited(
    tmp_path: Path, kerbstone: Command, broker: Mosquitto, harm: bool
) -> None:
    path = filled(tmp_path)
    if harm:
        damaged(path, random.Random(3), 6)
    config, store = site(tmp_path, broker.url, confirm="platform"), tmp_path / "city.db"
    with receipts(broker, store):
        said = kerbstone("outbox", "rescue", path, "--config", config, "--owner", OWNER, "--json")
        twice = kerbstone("outbox", "rescue", path, "--config", config, "--owner", OWNER, "--json")
    reported = json.loads(said.out)
    assert (
        reported["confirmed"] == reported["sent"] == reported["read"] + reported["found_on_pages"]
    )
    assert said.code == twice.code == int(harm)
    assert (reported["sent"] == 301) is not harm
    audit = kerbstone("audit", "--store", store, "--json")
    lines = [json.loads(line) for line in audit.out.splitlines()]
    verdict = lines[-1]
    assert verdict["records"] == reported["sent"], "what came twice is stored once"
    kinds = {line["finding"] for line in lines if "finding" in line}
    assert ("missing" in kinds) is harm, "what was damaged is found missing"
    # no manifest was made; a record that cannot be read leaves its time, too
    assert kinds - ({"missing", "hole"} if harm else set()) == {"nothing"}, "and nothing else is"


@pytest.mark.long
def test_a_broker_that_is_not_there_and_one_that_stores_nothing(
    tmp_path: Path, kerbstone: Command, broker: Mosquitto
) -> None:
    path = filled(tmp_path, 50)
    said = kerbstone("outbox", "rescue", path, "--config", site(tmp_path))
    assert said.code == 3
    assert "run the command again" in said.err
    config = site(tmp_path, broker.url, confirm="platform")
    begun = time.monotonic()
    said = kerbstone("outbox", "rescue", path, "--config", config)
    assert said.code == 1
    assert "51 not confirmed: run the command again" in said.out
    assert time.monotonic() - begun < 60
    assert kerbstone("outbox", "rescue", path, "--config", site(tmp_path, broker.url)).code == 0
