"""Two who copy the outbox at once: the one whose file has changed meanwhile hears of it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import drivers
from edge.config import load_site
from edge.core import Draft, Stream
from edge.gateway.backupverb import backup_verb
from edge.outbox import AsyncOutbox
from edge.outbox.database import DATABASE_NAME

S = 1_000_000_000
SITE = """
[site]
id = "town"
gateway = "gw-1"
[uplink]
url = "mqtt://127.0.0.1:1"
"""


def drafts(first: int) -> list[Draft]:
    return [
        Draft(Stream.RAW, "hut", n * S, (n + 1) * S, {"n": n}) for n in range(first, first + 10)
    ]


async def asked_by_two(folder: Path) -> tuple[bool, list[Mapping[str, Any]]]:
    """Whether the file changed for the first, and what was answered."""
    outbox = await AsyncOutbox.start(
        folder / "store", limit_bytes=16 << 20, boot_id="b", owner="town/gw-1", ballast_bytes=0
    )
    (folder / "site.toml").write_text(SITE)
    site = load_site(folder / "site.toml", drivers.catalogue())
    verb = backup_verb(outbox, site, "1000aaaa")
    try:
        await outbox.commit(drafts(0))
        first = await verb({"act": "hold"})
        before = (folder / "store" / DATABASE_NAME).read_bytes()
        await outbox.commit(drafts(10))
        second = await verb({"act": "hold"})
        changed = (folder / "store" / DATABASE_NAME).read_bytes() != before
        return changed, [
            await verb({"act": "release", "hold": first["hold"]}),
            await verb({"act": "release", "hold": second["hold"]}),
            await verb({"act": "release", "hold": second["hold"]}),
            await verb({"act": "release"}),
        ]
    finally:
        await outbox.close()


def test_a_second_backup_tells_the_first_that_its_copy_is_none(tmp_path: Path) -> None:
    changed, answers = asyncio.run(asked_by_two(tmp_path))
    assert changed
    assert [answer["kept"] for answer in answers] == [False, True, False, False]
