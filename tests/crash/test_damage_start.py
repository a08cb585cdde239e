"""Any file of a gateway's folders is damaged: it starts all the same, samples, and counts it.

`CRASH_DAMAGE=all` takes every file and every harm; without it there are two cases.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.sim.sen55 import Sen55
from tests.crash.gateway import DamagedSite, StartReport
from tests.kit.broker import BINARY, Mosquitto
from tests.kit.fixtures import PERSISTENT
from tests.kit.harm import HARMS
from tests.kit.street import LoopStreet

WHOLE = os.environ.get("CRASH_DAMAGE") == "all"
SHORT = [
    ("store/outbox.db", "halved"), ("store/epochs", "zeroed"), ("store/outbox.db-wal", "flipped"),
]  # fmt: skip
START_S = 10.0
AIR_HELD = {
    "pm1_0": 5.2, "pm2_5": 9.5, "pm4_0": 12.6, "pm10": 13.3, "humidity": 45.5,
    "temperature": 23.5, "voc_index": 100.0, "nox_index": 1.0,
}  # fmt: skip


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[DamagedSite]:
    if not Path(BINARY).exists():
        pytest.skip("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
    folder = tmp_path / "broker"
    broker = Mosquitto(folder, PERSISTENT.format(folder)).start()
    with LoopStreet(tmp_path, Sen55(AIR_HELD, powered_s=86_400)):
        one = DamagedSite(tmp_path, broker)
        try:
            yield one
        finally:
            one.close()
            broker.kill()


def used(gateway: DamagedSite) -> list[str]:
    """Folders of a daemon that was killed while nobody took its records; their files."""
    gateway.broker.stop()
    gateway.begin(60)
    gateway.wait(lambda: gateway.answer("outbox")["rows"] >= 10, "the outbox does not grow")
    gateway.stop()  # so that the database holds rows, and later its log
    gateway.begin(60)
    gateway.wait(lambda: gateway.answer("outbox")["rows"] >= 20, "the outbox does not grow")
    gateway.end()
    gateway.broker.start()
    gateway.subscribe()
    return gateway.keep()


def test_damage_to_any_file_is_survived_and_counted(
    gateway: DamagedSite, capsys: pytest.CaptureFixture[str]
) -> None:
    files = used(gateway)
    sound = gateway.live(60)
    assert (sound.quarantined, sound.damaged, sound.in_memory, sound.lost) == (0, 0, None, 0)
    # a machine that is busy with other things is slow at everything
    within_s = max(START_S, 4 * sound.ready_s)
    cases = [(file, harm) for file in files for harm in HARMS] if WHOLE else SHORT
    lives: dict[tuple[str, str], StartReport] = {}
    failed: dict[tuple[str, str], str] = {}
    for file, harm in cases:
        gateway.restore()
        HARMS[harm](gateway.folder / file, random.Random(f"{file} {harm}"))
        try:
            lives[file, harm] = gateway.live(within_s)
        except AssertionError as error:
            failed[file, harm] = str(error)[-1500:]
            gateway.end()
    silent = [case for case, life in lives.items() if not counted(life, sound)]
    losses = {case: lives[case].lost for case in silent if lives[case].lost}
    with capsys.disabled():
        slowest = max(life.ready_s for life in lives.values())
        print(
            f"\n{len(lives)} starts, one of {len(files)} files damaged, the slowest {slowest:.1f} s"
        )
        print(f"counted or said: {len(lives) - len(silent)}; of no consequence: ", end="")
        print(len(silent) - len(losses), [case for case in silent if case not in losses])
        print(f"not started, or no sampling: {list(failed)}")
        print(f"lost without a word: {losses}")
    assert not failed
    assert not losses
    assert not [case for case, life in lives.items() if life.in_memory]


def counted(life: StartReport, sound: StartReport) -> bool:
    """Whether it says anything that it would not say after an ordinary kill."""
    return bool(
        life.quarantined
        or life.damaged
        or life.events - sound.events
        or life.problems - sound.problems
    )
