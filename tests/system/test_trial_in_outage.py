"""A trial of the configuration while all around it fails: real process, broker, network and wires.

The daemon has a network of its own, whose only cable is pulled; seconds stand for the minutes of a
trial (`hurriedtrial`).
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.gateway.trialjudge import HELD_CARRIER, HELD_LINK
from tests.kit.broker import BINARY, Mosquitto
from tests.kit.fixtures import PERSISTENT
from tests.kit.gateway import LOOPS
from tests.kit.ownnetwork import NoNetworkError, OwnNetwork
from tests.kit.subscribed import once
from tests.system.changingbox import AIR, ChangingBox, TriedBox

OUTAGE_S = 12  # longer than a trial takes here, and than a box may be deaf or blind
DEAD = """
[bus.roof]
kind = "i2c"
path = "sim:{dir}/nobody.sock"
[device.roof_air]
driver = "sht4x"
bus = "roof"
address = 0x44
every_s = 0.5
"""


class FarBox(TriedBox):
    """It reaches its broker by the cable. `roof_air` has never answered."""

    def __init__(self, folder: Path, broker: Mosquitto, *, network: OwnNetwork) -> None:
        url = f"mqtt://{network.here}:{broker.port}"
        super().__init__(folder, broker, LOOPS, AIR, DEAD, url=url)
        self.command = (*network.command, *TriedBox.command)  # type: ignore[misc]


@pytest.fixture
def network() -> Iterator[OwnNetwork]:
    try:
        made = OwnNetwork()
    except NoNetworkError as error:
        pytest.skip(str(error))
    yield made
    made.close()


@pytest.fixture
def box(
    tmp_path: Path, network: OwnNetwork, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ChangingBox]:
    if not Path(BINARY).exists():
        pytest.skip("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    folder = tmp_path / "broker"
    broker = Mosquitto(folder, PERSISTENT.format(folder), also_at=network.here).start()
    with ChangingBox(tmp_path, broker, kind=FarBox, network=network) as made:
        yield made
    broker.kill()


def test_an_outage_of_everything_holds_the_trial_open_and_its_end_confirms_it(
    box: ChangingBox, network: OwnNetwork
) -> None:
    """The change touches the way to the broker, a bus that works, and one that never did."""
    text = box.gateway.text.replace("every_s = 0.5", "every_s = 0.25")
    text = text.replace('encoding = "json"', 'encoding = "json"\nkeepalive_s = 45')
    applied = box.gateway.apply(text)
    assert applied["restarts"] == ["uplink", "bus hut", "bus yard", "bus roof"]
    assert box.gateway.until_state("trial")["trial"]["digest"] == applied["digest"]
    box.broker.stop()
    network.pull()
    passed = len(box.street.passed)
    assert held_through(box, HELD_CARRIER)
    network.plug()
    assert held_through(box, HELD_LINK)
    assert len(box.street.passed) > passed + 5, "all the time vehicles passed"
    box.broker.start()
    back_s = time.monotonic()
    box.gateway.until_state("confirmed", 120)
    assert time.monotonic() - back_s >= 5, "it had to be well for all of its time"
    box.records.wait(lambda r: ("confirmed", None) in box.changes())
    assert box.changes() == [("trial", None), ("confirmed", None)]
    count = box.counted
    box.records.wait(lambda r: box.counted > count)
    box.finish()
    windows = once(box.records.all(), "traffic")  # what was on its way just then came twice
    assert sum(each["volume"] for each in windows) == len(box.street.passed)
    assert [each for each in box.gaps() if each["sources"] == ["*"]] == []
    assert [each for each in box.twice() if each[2] == "missing"] == []


def held_through(box: ChangingBox, why: str) -> bool:
    """For OUTAGE_S the trial is open, and in the end for this reason."""
    end_s, found = time.monotonic() + OUTAGE_S, {}
    while time.monotonic() < end_s:
        found = box.gateway.status()
        assert found["state"] == "trial", box.gateway.log.read_text()[-3000:]
    return bool(found["trial"]["held"] == why)
