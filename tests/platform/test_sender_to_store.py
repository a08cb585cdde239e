"""The gateway's own sender and the platform's own programs, with a broker between them."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

from edge.uplink.manifests import Manifests
from tests.kit.broker import Make
from tests.kit.platform import COMMAND, ROOT
from tests.kit.platform import platform as receiving
from tests.kit.uplink import GW, S, box, drafts
from tests.kit.waiting import until


def audit(store: Path, *options: str) -> tuple[int, list[Any]]:
    done = subprocess.run(
        [*COMMAND, "audit", "--store", str(store), "--json", *options],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


async def test_rows_leave_when_they_are_stored_and_the_audit_proves_it(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker, store = mosquitto(), tmp_path / "city.db"
    manifests = Manifests()
    async with box(
        tmp_path / "gw", broker.url, "msgpack", sealed=manifests.handed, receipt_s=1
    ) as made:
        made.connect()
        await made.commit(drafts(0, 20))
        await until(lambda: made.sender.counts.sent >= 20)
        assert made.sender.counts.confirmed == 0, "the broker has them, and nobody has stored them"
        with receiving(broker, store):  # it comes late: the rows are sent again
            await until(lambda: made.sender.counts.confirmed == 20)
            due = manifests.due(99 * S, all_=True)
            await made.commit(due)
            await until(lambda: made.sender.counts.confirmed == 20 + len(due))
        code, lines = await asyncio.to_thread(audit, store)
        assert code == 0, lines
        (day,) = [line for line in lines if "day" in line]
        assert (day["gw"], day["records"], day["proved"]) == (GW, 20 + len(due), len(due))
        # a number that was confirmed and then lost by the city is gone
        _forget(store, 7)
        code, lines = await asyncio.to_thread(audit, store, "--ask", "--broker", broker.url)
    (asked,) = [line for line in lines if "asked" in line]
    assert code == 1
    assert (asked["numbers"], asked["resent"], asked["gone"], asked["error"]) == (1, 0, 1, "")


def _forget(store: Path, seq: int) -> None:
    import sqlite3

    database = sqlite3.connect(store)
    with database:
        air = "SELECT id FROM numbering WHERE stream = 'air'"
        database.execute(f"DELETE FROM entry WHERE numbering IN ({air}) AND seq = ?", (seq,))
    database.close()
