"""Outboxes to be rescued, whole and damaged, and what comes out of them.

An example:

    path = filled(tmp_path)
    damaged(path, random.Random(7), words=3)
    assert kerbstone("outbox", "rescue", path, "--out", out).code == 0
    assert keys(out)
"""

import json
import random
import zlib
from pathlib import Path

from edge.core import Draft, Stamp, Stream
from edge.outbox import Outbox
from tests.kit.clock import NTP

S = 1_000_000_000
LIMIT = 8 << 20
OWNER = "stadtmitte/gw-0001"
SITE = """
[site]
id = "stadtmitte"
gateway = "{gw}"
[store]
dir = "{folder}/store"
run_dir = "{folder}/run"
[uplink]
url = "{url}"
confirm = "{confirm}"
receipt_s = 5
"""


def drafts(count: int, first: int = 0, size: int = 120) -> list[Draft]:
    rng = random.Random(first)
    return [
        Draft(Stream.AIR, "hut", n * S, (n + 1) * S,
              {"covered_s": 1.0, "n": n, "text": rng.randbytes(size // 2).hex()})
        for n in range(first, first + count)
    ]  # fmt: skip


def named(path: Path, owner: str = OWNER) -> None:
    """As a store that knows whose it is."""
    import sqlite3

    with sqlite3.connect(path) as db:
        word = f"{zlib.crc32(owner.encode()):08x} {owner}"
        db.execute("INSERT OR REPLACE INTO meta VALUES ('owner', ?)", (word,))
    db.close()


def filled(folder: Path, count: int = 300) -> Path:
    """An outbox that was closed, with an opening as a daemon makes it."""
    outbox = Outbox.open(folder / "store", limit_bytes=LIMIT, boot_id="b", ballast_bytes=0)
    outbox.begin()
    mark = Stamp(400 * S, 1_790_000_400 * S, NTP)
    body = {"event": "gap", "reason": "start", "sources": ["*"], "gap": [None, 0],
            "boot_before": None, "text": "first"}  # fmt: skip
    outbox.commit([Draft(Stream.EVENT, "gateway", 0, 0, body)], clock=mark)
    for first in range(0, count, 50):
        outbox.commit(drafts(50, first), clock=mark)
    outbox.close()
    named(folder / "store/outbox.db")
    return folder / "store/outbox.db"


def site(folder: Path, url: str = "mqtt://127.0.0.1:1", gw: str = "gw-0001",
         confirm: str = "broker") -> Path:  # fmt: skip
    file = folder / "site.toml"
    file.write_text(SITE.format(folder=folder, url=url, gw=gw, confirm=confirm))
    return file


def keys(store: Path) -> list[tuple[str, int]]:
    lines = [json.loads(line) for line in store.read_text().splitlines()]
    return [(each["stream"], each["seq"]) for each in lines if each.get("kind") == "record"]


def damaged(path: Path, rng: random.Random, words: int) -> None:
    """Random words, anywhere behind the first page."""
    data = bytearray(path.read_bytes())
    for _ in range(words):
        place = rng.randrange(1024, len(data) - 4)
        data[place : place + 4] = rng.randbytes(4)
    path.write_bytes(data)
