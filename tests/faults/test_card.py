"""A card that fails, and one that is slow, under a running daemon: strace injects at its fsyncs."""

import signal
import statistics
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults.slowly import only_with_all
from tests.faults.traced import EVERY_S, UP, TracedSite, needs_strace, polls, sensor
from tests.kit.broker import Mosquitto
from tests.kit.gateway import Records
from tests.kit.subscribed import events


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    needs_strace()
    with sensor(tmp_path):
        yield tmp_path


@pytest.mark.parametrize("error", ["EIO", pytest.param("EROFS", marks=only_with_all)])
def test_a_card_that_fails_means_memory_and_an_alarm_and_nothing_is_deleted(
    folder: Path, broker: Mosquitto, error: str
) -> None:
    """From the 8th flush on all fail. One process all the time, and what it measures arrives."""
    one = TracedSite(folder, broker, f"error={error}:when=8+", period_s=1)
    records = Records(broker, folder, "--check", "--filter", UP)
    try:
        one.start()
        records.wait(lambda r: [e for e in events(r.all(), "storage") if e["state"] == "on"])
        broken = len(records.of("air"))
        assert one.injected > 0
        assert one.running
        records.wait(lambda r: len(r.of("air")) > broken + 3)
        assert '"in_memory": null' not in one.ask("outbox").stdout, "it says where records are kept"
        assert not list((folder / "store").glob("quarantine/*")), "a card that fails is no damage"
        assert len({r["epoch"] for r in records.all() if r["kind"] == "record"}) == 1

        one.kill()  # and another card reader: everything that was on the card is still there
        one.without().start()
        epoch = records.of("air")[-1]["epoch"]
        records.wait(lambda r: [a for a in r.of("air") if a["epoch"] > epoch])
        assert '"in_memory": null' in one.ask("outbox").stdout
        assert not list((folder / "store").glob("quarantine/*"))
        assert one.stop() == 0
    finally:
        one.close()
        code, said = records.stop()
    assert code == 0, said


@pytest.mark.parametrize("takes_s", [0.5, pytest.param(2.0, marks=only_with_all)])
def test_a_card_that_takes_its_time_does_not_move_the_polls(
    folder: Path, broker: Mosquitto, takes_s: float
) -> None:
    """The writer waits, and nobody else does; and a SIGTERM amid a commit ends in peace."""
    one = TracedSite(folder, broker, f"delay_exit={takes_s * 1e6:.0f}:when=8+", period_s=1)
    records = Records(broker, folder, "--check", "--filter", UP)
    try:
        one.start()
        records.wait(lambda r: polls(r) and one.injected >= 1)
        begun = polls(records)[-1]
        records.wait(lambda r: polls(r)[-1] > begun + 4.5)
        assert one.injected >= 2
        found = [at for at in polls(records) if at > begun]
        off = [abs(b - a - EVERY_S) for a, b in pairwise(found)]
        assert statistics.median(off) < 0.1 * EVERY_S
        assert len(found) > 0.9 * (found[-1] - found[0]) / EVERY_S, "none was left out for it"
        process = one._daemon
        assert process is not None
        process.send_signal(signal.SIGTERM)  # the writer is amid a commit nearly all the time
        assert process.wait(120) == 0
        one.without().start()
        epoch = records.of("air")[-1]["epoch"]
        records.wait(lambda r: [a for a in r.of("air") if a["epoch"] > epoch])
        assert one.stop() == 0
    finally:
        one.close()
        code, said = records.stop()
    assert code == 0, said
