"""A hostile subscriber at mosquitto with the files that ship: it hears and takes nothing."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile.attempts import EVIL, SITE, VICTIM, record
from tests.hostile.platform import COMMAND, ROOT, listening, stored
from tests.kit.citybroker import CityBroker, TlsListener, running
from tests.kit.forged import Pair
from tests.kit.mqttclient import MqttClient

SENT = 21
PLAIN, SHARED = b"kerbstone/v1/+/+/up/+/+", b"$share/city/kerbstone/v1/+/+/up/+/+"
WISHES = [
    b"#", b"+/#", b"/#", b"$SYS/#", b"city/#", b"kerbstone/v1/+/+/up/+/+",
    b"kerbstone/v1/+/+/down/#", b"kerbstone/v1/mitte/gw-0002/down/receipt",
    b"$share/x/#", b"$share/x/city/#", b"$share/x/$SYS/#",
    b"$share/city/kerbstone/v1/+/+/up/+/+", b"$share/city/kerbstone/v1/+/+/up/#",
    b"$share/city/city/kerbstone/v1/+/+/up/+/+", b"$share//kerbstone/v1/+/+/up/+/+",
    b"$queue/kerbstone/v1/+/+/up/+/+", b"$share/city/kerbstone/v1/+/gw-0002/down/#",
]  # fmt: skip

Connect = Callable[[TlsListener, Pair, str], MqttClient]


@pytest.fixture
def city(tmp_path: Path) -> Iterator[CityBroker]:
    with running(tmp_path / "city") as city:
        yield city


@pytest.fixture
def client() -> Iterator[Connect]:
    """Makes clients with a certificate; all are gone after the test."""
    made: list[MqttClient] = []

    def connect(place: TlsListener, pair: Pair, name: str) -> MqttClient:
        made.append(MqttClient(place.port, place.context(pair), name))
        assert made[-1].connect() == 0
        return made[-1]

    yield connect
    for each in made:
        each.drop()


def send(city: CityBroker, client: Connect) -> None:
    """What a gateway says, acknowledged by the broker."""
    sender = client(city.gateways, city.gateway(VICTIM), VICTIM)
    topic = f"kerbstone/v1/{SITE}/{VICTIM}/up/energy/m".encode()
    for seq in range(1, SENT + 1):
        assert sender.publish(topic, record(VICTIM, "energy", "m", seq)) in (0, 16)
    sender.drop()


@pytest.mark.parametrize("door", ["gateways", "platforms"])
def test_who_asks_for_everything_hears_nothing_and_takes_nothing(
    city: CityBroker, client: Connect, tmp_path: Path, door: str
) -> None:
    """Also of what is for another gateway: its receipts all come, and only to it."""
    store = tmp_path / "city.db"
    with listening(city.platforms, city.platform, tmp_path, "receipts", "--store", str(store)):
        eager = client(getattr(city, door), city.gateway(EVIL), EVIL)
        for wish in WISHES:
            eager.subscribe(wish)
        send(city, client)
        other = client(city.gateways, city.gateway(VICTIM), VICTIM)
        other.subscribe(b"kerbstone/v1/+/gw-0002/down/#")
        topic = f"kerbstone/v1/{SITE}/{VICTIM}/up/energy/m".encode()
        assert other.publish(topic, record(VICTIM, "energy", "m", SENT + 1)) == 0
        end = time.monotonic() + 60
        while not (other.received and len(stored(store)) == SENT + 1):
            assert time.monotonic() < end, f"{len(stored(store))} records came"
            time.sleep(0.1)
            other.hear()
        assert len(set(stored(store))) == 1
        eager.hear()
        assert eager.received == []


@pytest.mark.parametrize(
    ("mounted", "wish", "least", "most"),
    [(True, PLAIN, SENT, SENT), (True, SHARED, 0, 0), (False, SHARED, 9, 12)],
)
def test_a_share_that_a_gateway_joins_is_lost_without_the_mount_point(
    city: CityBroker, client: Connect, mounted: bool, wish: bytes, least: int, most: int
) -> None:
    """mosquitto gives it in turn to each of a group, also to one that may not read it.

    With the mount point there is no group: a platform that trusts in one hears nothing at all.
    """
    if not mounted:
        conf = city.folder / "mosquitto.conf"
        conf.write_text(conf.read_text().replace("mount_point city/\n", ""))
        acl = city.folder / "acl"
        acl.write_text(acl.read_text().replace("city/", ""))
        acl.chmod(0o600)
        city.stop()
        city.start()
    platform = client(city.platforms, city.platform, "platform")
    platform.subscribe(wish)
    client(city.gateways, city.gateway(EVIL), EVIL).subscribe(SHARED)
    send(city, client)
    for _ in range(2):  # the broker has 20 on their way at once
        platform.hear()
    print(f"of {SENT} messages {len(platform.received)} came")
    assert least <= len(platform.received) <= most


def test_receipts_refuses_a_shared_subscription_with_the_reason(
    city: CityBroker, tmp_path: Path
) -> None:
    url = f"mqtts://127.0.0.1:{city.platforms.port}"
    for group in ("$share/city/", "$queue/"):
        words = ["receipts", "--broker", url, "--store", str(tmp_path / "x.db")]
        done = subprocess.run(
            [*COMMAND, *words, "--filter", f"{group}kerbstone/v1/+/+/up/#"],
            capture_output=True, text=True, cwd=ROOT, timeout=60,
        )  # fmt: skip
        assert done.returncode == 2
        assert "any client can join it" in done.stderr
    assert not (tmp_path / "x.db").exists()
