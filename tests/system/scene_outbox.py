"""A scene: killed with a backlog again and again, and the backlog is destroyed each time."""

import random
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.control.protocol import ask_daemon
from tests.kit.broker import Mosquitto
from tests.kit.fixtures import PERSISTENT
from tests.kit.gateway import LOOPS, GatewayProcess, Records
from tests.kit.street import LoopStreet
from tests.kit.subscribed import ALL
from tests.kit.waiting import wait_until


def garbage_file(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(50_000))


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 - 100)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for place in range(100, len(data), 997):
        data[place] ^= 0x55
    path.write_bytes(data)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("?")


def gone(path: Path) -> None:
    path.unlink()


TOLD = {"gap", "storage", "drop"}  # of each damage
DAMAGES = (garbage_file, cut, flip, folder_instead, gone)


@dataclass
class Round:
    """What came of one damage."""

    killed_epoch: int
    started_s: float
    found: list[dict[str, Any]]  # of this process
    quarantine: list[str]


@dataclass
class Outbox:
    rounds: dict[str, Round] = field(default_factory=dict)
    check: tuple[int, str] = (-1, "")
    code: int = -1
    log: str = ""


def settled(store: Path) -> Path:
    """The database as it is once its log has been taken into it; the log is gone."""
    path = store / "outbox.db"
    database = sqlite3.connect(path)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    for beside in store.glob("outbox.db-*"):
        beside.unlink()
    return path


def live_through(folder: Path) -> Outbox:
    """Again and again: killed with a backlog, and the backlog is destroyed."""
    outcome, place = Outbox(), folder / "broker"
    broker = Mosquitto(place, PERSISTENT.format(place)).start()
    with LoopStreet(folder) as street:
        site = GatewayProcess(folder, broker, LOOPS, period_s=1)
        store = folder / "store"
        try:
            records = Records(broker, folder, *ALL)
            site.start()
            street.drive(every_s=0.45)
            records.wait(lambda r: len(r.of("traffic")) >= 2)
            for damage in DAMAGES:
                broker.stop()
                waiting = rows(site)
                wait_until(lambda more=waiting: rows(site) > more)  # type: ignore[misc]
                site.kill()
                damage(settled(store))
                broker.start()
                epoch = records.of("traffic")[-1]["epoch"]
                begin = time.monotonic()
                site.start()
                records.wait(lambda r, e=epoch: of_later(r, e, "traffic"))  # type: ignore[misc]
                started_s = time.monotonic() - begin
                # what is lost is told when the link works
                records.wait(lambda r, e=epoch: told_of_later(r, e) >= TOLD)  # type: ignore[misc]
                found = [r for r in records.all() if r["kind"] == "record" and r["epoch"] > epoch]
                kept = sorted(path.name for path in store.glob("quarantine/*/outbox.db"))
                outcome.rounds[damage.__name__] = Round(epoch, started_s, found, kept)
            outcome.code = site.stop()
            outcome.check = records.stop()
            outcome.log = site.log.read_text()
        finally:
            site.close()
            broker.kill()
    return outcome


def rows(site: GatewayProcess) -> int:
    """That wait in the outbox of the running daemon."""
    return int((ask_daemon(site.folder / "run", "outbox") or {"rows": 0})["rows"])


def told_of_later(records: Records, epoch: int) -> set[str]:
    return {event["event"] for event in of_later(records, epoch, "event")}


def of_later(records: Records, epoch: int, stream: str) -> list[dict[str, Any]]:
    return [r for r in records.of(stream) if r["epoch"] > epoch]
