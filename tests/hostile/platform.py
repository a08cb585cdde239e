"""The city's own programs as processes, with the certificate that the broker's files name."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge.platform.openstore import open_store
from tests.kit.citybroker import TlsListener
from tests.kit.forged import Pair

ROOT = Path(__file__).parents[2]
UNREACHABLE = 3
COMMAND = [sys.executable, "-m", "edge.cli.main"]


class ListeningVerb:
    """A verb that listens, with what it has said until now."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]", name: str) -> None:
        self._folder, self._name = folder, name
        self.process = process

    @property
    def out(self) -> str:
        return (self._folder / f"{self._name}.out").read_text()

    @property
    def err(self) -> str:
        return (self._folder / f"{self._name}.err").read_text()

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(60)


@contextlib.contextmanager
def listening(
    place: TlsListener, pair: Pair, folder: Path, verb: str, *words: str
) -> Iterator[ListeningVerb]:
    """`kerbstone receipts` or `subscribe`, which has subscribed."""
    cert, key = pair
    url = f"mqtts://127.0.0.1:{place.port}"
    name = f"{verb}{len(list(folder.glob('*.err')))}"
    identity = ["--ca", str(place.folder / "ca.crt"), "--cert", str(cert), "--key", str(key)]
    command = [*COMMAND, verb, "--broker", url, *identity, "--client-id", "platform", *words]
    with (folder / f"{name}.out").open("wb") as out, (folder / f"{name}.err").open("wb") as err:
        end = time.monotonic() + 240
        while True:
            process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT)
            made = ListeningVerb(folder, process, name)
            while "listening to" not in made.err and process.poll() is None:
                time.sleep(0.02)
            # a cluster on a busy machine may need longer for its queues than a client waits
            if process.poll() != UNREACHABLE:
                break
            assert time.monotonic() < end, made.err
    try:
        assert process.poll() is None, made.err
        yield made
    finally:
        process.kill()
        process.wait(60)


def audited(store: Path) -> tuple[int, list[dict[str, Any]]]:
    """`kerbstone audit --json`: exit code and what it says."""
    words = [*COMMAND, "audit", "--store", str(store), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=120)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def stored(store: Path) -> list[tuple[str, str]]:
    """Gateway and topic of every record."""
    reader = open_store(store, write=False)
    try:
        names = [gw for gw, _ in reader.gateways()]
        return [(gw, each.topic) for gw in names for each in reader.records(gw)]
    finally:
        reader.close()


def tallied(store: Path) -> dict[tuple[str, str], int]:
    """How much was refused or beside, of each gateway and kind."""
    reader = open_store(store, write=False)
    try:
        return {(gw, kind): tally.total for gw, kind, tally in reader.tallies()}
    finally:
        reader.close()
