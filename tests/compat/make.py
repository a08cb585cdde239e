"""Write what this version leaves on disks: `python -m tests.compat.make 0.2.0`, some two minutes.

Real processes do it: the daemon over simulated wires, mosquitto, `kerbstone receipts`, an
enrolment. What takes hours takes seconds (`launch`); each box is killed with -9, one of them in the
middle of a window and of its backlog. `reader`, which knows nothing of the product, then writes
down in MANIFEST.json what has to be found there for ever.
"""

import argparse
import asyncio
import gzip
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Queue
from typing import Any, Final

from edge.identity import httpsclient
from edge.terminal import echo
from tests.compat import cityreader, reader
from tests.compat.box import AIR, BOOT_ID, HEAD, KERBSTONE, LOOPS, ROOT, Box, meters
from tests.compat.formats import code_versions
from tests.compat.versions import listed
from tests.compat.wires import Wires
from tests.gateway.commissionparts import CommissionedBox
from tests.identity.city import EnrolmentCity
from tests.identity.enrolling_box import EnrollingGateway, NappingClock
from tests.identity.real_server import ApprovingServer
from tests.kit.broker import Mosquitto
from tests.kit.rawbroker import raw_broker
from tests.link.city import DAY_S, MB, LinkSurroundings

HERE: Final = Path(__file__).parent
MANIFEST: Final = "MANIFEST.json"
KEPT_PLAIN: Final = 4096  # bytes; a larger file is compressed
BROKER: Final = "allow_anonymous true\npersistence true\npersistence_location {}/\n"
MALFORMED: Final = 0x99  # a broker's answer
FULL_BYTES: Final = 704 << 10  # 512 KiB of them are for the log
NOWHERE: Final = "mqtt://127.0.0.1:1"


# -- the boxes --------------------------------------------------------


def street(folder: Path, out: Path) -> dict[str, Any]:
    """A box in the middle of its work, and the city that heard its first start to the end."""
    broker = Mosquitto(folder / "broker", BROKER.format(folder / "broker")).start()
    text = HEAD.format(
        gateway="gw-1", period_s=4, confirm="platform", encoding="msgpack", raw="true"
    ) + LOOPS + AIR + meters(1)  # fmt: skip
    stores = folder / "city.db", folder / "city.jsonl"
    with ExitStack() as stack:
        stack.callback(broker.kill)
        wires = stack.enter_context(Wires(folder / "box"))
        box = Box(folder / "box", text, broker.url, wires.port)
        stack.callback(box.kill)
        with city(broker, *stores):
            box.start()
            wires.cars()
            box.wait((box.folder / "state/last_good.toml").exists)
            time.sleep(14)
            box.stop()
            time.sleep(2)
        heard = {store.name: cityreader.told_of_city(store) for store in stores}
        for store in stores:
            for each in (store, *(store.with_suffix(f".{n}") for n in BESIDE)):
                if each.exists() and each.stat().st_size:
                    keep(each, out / "city" / each.name)
        with city(broker, *stores):
            box.start()
            time.sleep(6)
            assert any(caught(box, broker) for _ in range(6))
            box.kill()
    known = box_told(box, out / "street")
    outbox = reader.read_outbox(box.folder / "store/outbox.db")
    known["stage"] = stage(box, outbox)
    found = journal(box)
    rows = {row.id for row in outbox.rows}
    known["journal"] = {
        "confirmed": len(found.confirmed & rows), "sent": len(found.sent & rows), "rows": len(rows)
    }  # fmt: skip
    known["wall_ns"] = reader.wall_of(outbox, known["stage"]["mark_ns"])
    assert outbox.states.keys() == {
        "alarms", "app", "drivers", "engine", "flags", "issues", "judge", "manifest", "moments"
    }  # fmt: skip
    return {"street": known, "city": heard}


WRITTEN: Final = reader.STREAMS - {"register"}  # nothing makes records of that one
BESIDE: Final = ("conflict.jsonl", "refused.jsonl", "tally.json", "db-wal")


def full(folder: Path, out: Path) -> dict[str, Any]:
    """A box without a broker, whose outbox is full: it merges, and drops."""
    text = HEAD.format(
        gateway="gw-2", period_s=1, confirm="broker", encoding="json", raw="true"
    ) + LOOPS + AIR + meters(3)  # fmt: skip
    with Wires(folder) as wires:
        box = Box(folder, text, NOWHERE, wires.port, {"COMPAT_LIMIT": FULL_BYTES})
        try:
            box.start()
            wires.cars()
            box.wait(lambda: dropping(looked_at(box)), 180)
        finally:
            box.kill()
    known = box_told(box, out / "full")
    assert sum(each["merged"] for each in known["outbox"]["streams"].values())
    return {"full": known}


def dropping(found: reader.OutboxFile) -> bool:
    return bool(found.dropped) and any(row.covers > 1 for row in found.rows)


def ill(folder: Path, out: Path) -> dict[str, Any]:
    """A box that has given up some records, and whose card fails then."""
    text = HEAD.format(
        gateway="gw-3", period_s=2, confirm="broker", encoding="json", raw="false"
    ) + AIR + meters(1)  # fmt: skip
    with Wires(folder) as wires, refusing() as url:
        box = Box(folder, text, url, wires.port, {"COMPAT_CARD": folder / "card"})
        try:
            box.start()
            box.wait(lambda: looked_at(box).dead)
            (folder / "card").touch()
            log = box.folder / "run/commit.log"
            box.wait(lambda: log.exists() and reader.rows_of_log(reader.read_commit_log(log)))
            time.sleep(4)
        finally:
            box.kill()
    known = box_told(box, out / "ill")
    frames = reader.read_commit_log(box.folder / "run/commit.log")
    rows = reader.rows_of_log(frames)
    known["commit_log"] = {"rows": len(rows), "digest": reader.digest([row[1:] for row in rows])}
    assert known["outbox"]["dead_rows"]
    assert rows
    return {"ill": known}


def broken(folder: Path, out: Path) -> dict[str, Any]:
    """Three starts with a site file that is refused, after one that was good."""
    shutil.copytree(out / "street/state", folder / "state")
    site = folder / "broken.toml"
    good = (folder / "state/last_good.toml").read_text()
    site.write_text(good.replace('driver = "sen55"', 'driver = "sen555"'))
    (folder / "boot_id").write_text(f"{BOOT_ID}\n")
    env = {**os.environ, "COMPAT_BOOT": str(folder / "boot_id")}
    for _ in range(3):
        done = subprocess.run(
            [*KERBSTONE, "run", str(site), "--state", str(folder / "state")],
            cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
    shutil.copytree(folder / "state", out / "broken")
    shutil.copy(site, out / "broken/broken.toml")
    return {"broken": reader.read_start_history(out / "broken/start_history")}


# -- what else a box and a city keep --------------------------------------------------------


def enrolled(folder: Path, out: Path) -> dict[str, Any]:
    """A box's identity, from the enrolment server, whose folder is kept, too."""
    server = ApprovingServer(folder)
    server.start()
    try:
        box = EnrollingGateway(
            server.card(folder / "box", "gw-1"), EnrolmentCity(), NappingClock(server.now)
        )
        box.ask = httpsclient.https_request
        assert box.power().run() == "enrolled"
        pending = EnrollingGateway(
            server.card(folder / "pending", "gw-9"), EnrolmentCity(), NappingClock(server.now)
        )
    finally:
        server.close()
    shutil.copytree(box.state, out / "identity", symlinks=True)
    shutil.copytree(pending.boot, out / "claim")
    for path in server.home.folder.rglob("*"):
        if path.is_file():
            keep(path, out / "provision" / path.relative_to(server.home.folder))
    current = (box.state / "current").readlink()
    return {"identity": {"current": str(current), "files": listed(out / "identity")}}


def linked(folder: Path, out: Path) -> dict[str, Any]:
    """What kerbstone-link keeps: a month's bytes, a reboot, steps that nobody has heard of."""
    around = LinkSurroundings(folder, budget_mb=100)
    around.live(60)
    around.net.interface("wwan0", 3 * MB, MB)
    around.live(3600)
    around.older(DAY_S)
    around.broker = False
    around.verbs -= {"link_step"}  # the daemon hears of no step
    around.live(7200)
    path = around.folder / "link_state"
    (out / "link").mkdir()
    shutil.copy(path, out / "link/link_state")
    return {"link": reader.read_link_state(path)}


def commissioned(folder: Path, out: Path) -> dict[str, Any]:
    """How far a box is commissioned, and a signed sheet."""
    box = CommissionedBox(folder / "store")

    async def sign() -> None:
        await box.whole()
        await box.step("sign", by="Anna", note="all well")
        await box.step("begin", by="Ben")

    asyncio.run(sign())
    kept = folder / "store"
    for path in sorted(path for path in kept.rglob("*") if path.is_file()):
        keep(path, out / "commissioning" / path.relative_to(kept))
    return {"commissioning": reader.read_commissioning(kept)}


# -- aids --------------------------------------------------------


@contextmanager
def refusing() -> Iterator[str]:
    """A broker that takes no record of energy, and all others; its address."""
    ready: Queue[str] = Queue()
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        async with raw_broker() as broker:
            broker.answer = lambda topic, payload: MALFORMED if "/energy/" in topic else 0
            ready.put(broker.url)
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield ready.get(timeout=60)
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


@contextmanager
def city(broker: Mosquitto, *stores: Path) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """`kerbstone receipts` for each store."""
    running = []
    for number, store in enumerate(stores):
        before = broker.log.count("Sending SUBACK")
        command = [*KERBSTONE[:2], "edge.cli.main", "receipts", "--broker", broker.url]
        command += ["--store", str(store), "--client-id", f"city-{number}"]
        running.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL))
        while broker.log.count("Sending SUBACK") == before:
            assert running[-1].poll() is None
            time.sleep(0.02)
    try:
        yield running
    finally:
        for each in running:
            each.terminate()
            each.wait(60)


def journal(box: Box) -> reader.Journal:
    return reader.read_journal(box.folder / "run/delivery.journal", owner(box))


def caught(box: Box, broker: Mosquitto) -> bool:
    """The broker is away for a while. When it is back, the box is stopped at a moment when some
    rows are confirmed, some sent, and some neither."""
    broker.send(signal.SIGSTOP)
    box.wait(lambda: {row.stream for row in rows_of(box)} == WRITTEN)
    box.wait(lambda: len(unsent(box)) > 20)
    box.wait(lambda: stage(box, looked_at(box))["sweeps"].get("hut_air", 0) >= 2)
    rows = {row.id for row in rows_of(box)}
    broker.send(signal.SIGCONT)
    end = time.monotonic() + 15
    while time.monotonic() < end:
        found = journal(box)
        if all(len(each) > 2 for each in (found.confirmed & rows, found.sent & rows)):
            box.send(signal.SIGSTOP)
            rows = {row.id for row in reader.read_outbox(box.folder / "store/outbox.db").rows}
            found = journal(box)
            left = rows - found.sent - found.confirmed
            if all(len(each) > 2 for each in (found.confirmed & rows, found.sent & rows, left)):
                return True
            box.send(signal.SIGCONT)
            return False
        time.sleep(0.005)
    return False


def unsent(box: Box) -> set[int]:
    found = journal(box)
    return {row.id for row in rows_of(box)} - found.sent - found.confirmed


def rows_of(box: Box) -> list[reader.Row]:
    return looked_at(box).rows


def looked_at(box: Box) -> reader.OutboxFile:
    """Its outbox, while it stands still."""
    box.wait((box.folder / "run/epochs").exists)  # then the outbox is open
    time.sleep(0.2)
    box.send(signal.SIGSTOP)
    try:
        return reader.read_outbox(box.folder / "store/outbox.db")
    finally:
        box.send(signal.SIGCONT)


def owner(box: Box) -> str:
    found: str = reader.read_epochs(box.folder / "store/epochs")["owner"]
    return found


def stage(box: Box, outbox: reader.OutboxFile) -> dict[str, Any]:
    since = outbox.state("app")["segment"]
    return reader.told_of_stage(reader.read_stage(box.folder / "run"), since)


def box_told(box: Box, out: Path) -> dict[str, Any]:
    """Keeps a box's folders; what a manifest says of them."""
    for name in ("store", "run", "state"):
        for path in sorted((box.folder / name).rglob("*")):
            if path.is_file() and path.suffix != ".lock":
                keep(path, out / path.relative_to(box.folder))
    (out / "site.toml").write_text(box.text)
    store, run = box.folder / "store", box.folder / "run"
    return {
        "owner": owner(box),
        "boot_id": BOOT_ID,
        "outbox": reader.told(reader.read_outbox(store / "outbox.db")),
        "epochs": reader.read_epochs(store / "epochs"),
        "run_epochs": reader.read_epochs(run / "epochs"),
        "highwater": reader.read_highwater(store / "highwater", owner(box)),
        "run_highwater": reader.read_highwater(run / "highwater", owner(box)),
        "start_history": reader.read_start_history(box.folder / "state/start_history"),
    }


def keep(path: Path, to: Path) -> None:
    """As it is, or compressed."""
    to.parent.mkdir(parents=True, exist_ok=True)
    data = path.read_bytes()
    if len(data) > KEPT_PLAIN:
        to = to.with_name(f"{to.name}.gz")
        data = gzip.compress(data, mtime=0)
    to.write_bytes(data)


PARTS: Final = (street, full, ill, broken, enrolled, linked, commissioned)


def make(version: str, out: Path) -> None:
    found: dict[str, Any] = {"version": version, "formats": code_versions()}
    with tempfile.TemporaryDirectory(prefix="kerbstone-compat-") as name:
        for part in PARTS:
            echo(f"{time.monotonic():.0f} s: {part.__name__}")
            (folder := Path(name) / part.__name__).mkdir()
            found |= part(folder, out)
    shutil.copytree(ROOT / "docs/contract/examples", out / "contract")
    (out / "site").mkdir()
    for path in sorted((ROOT / "deploy").glob("*.toml")):
        shutil.copy(path, out / "site")
    (out / MANIFEST).write_text(json.dumps(found, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version")
    version = parser.parse_args().version
    new = HERE / f"{version}.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    make(version, new)
    shutil.rmtree(HERE / version, ignore_errors=True)
    new.rename(HERE / version)
    size = sum(each.stat().st_size for each in (HERE / version).rglob("*") if each.is_file())
    echo(f"{HERE / version}: {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
