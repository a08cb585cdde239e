"""Dropped messages are said when the broker counts them, by numbers alone and from mosquitto."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cli import subscribe
from edge.platform.brokerdrops import DROPPED_TOPIC, BrokerDrops
from tests.kit.broker import SUBSCRIBER, Make, Mosquitto, free_port
from tests.kit.citybroker import CityBroker, running
from tests.kit.command import Command

PUBLISHER = SUBSCRIBER.replace("_sub", "_pub")
OPEN = "allow_anonymous true\nsys_interval 1\n"


def test_it_is_said_once_when_the_count_grows() -> None:
    drops = BrokerDrops()
    assert drops.total is None
    assert "sys_interval" in drops.sentence()
    assert [drops.take(b"%d" % count) for count in (0, 0)] == [None, None]
    said = [drops.take(b"%d" % count) for count in (7, 7, 12)]
    assert said[1] is None
    assert said[0] is not None
    assert "dropped 7 messages more, 7 since its start" in said[0]
    assert said[2] is not None
    assert "dropped 5 messages more, 12 since its start" in said[2]
    again = drops.take(b"2")
    assert again is not None, "a broker that was started again counts from 0"
    assert "dropped 2 messages more" in again
    assert drops.seen == 14
    with pytest.raises(ValueError, match="invalid literal"):
        drops.take(b"many")


def test_what_was_dropped_before_is_said_and_is_no_new_loss() -> None:
    drops = BrokerDrops()
    said = drops.take(b"9")
    assert said == "since its start the broker has dropped 9 messages"
    assert drops.seen == 0


def away(broker: Mosquitto) -> None:
    """A subscriber whose session waits, with room for five messages."""
    words = ["-V", "5", "-c", "-i", "platform", "-q", "1", "-t", "kerbstone/#", "-x", "600", "-E"]
    subprocess.run([SUBSCRIBER, "-p", str(broker.port), *words], check=True, timeout=60)


def publish(broker: Mosquitto, count: int) -> None:
    words = ["-V", "5", "-q", "1", "-t", "kerbstone/v1/s/gw-1/up/event", "-m", "{}"]
    repeat = ["--repeat", str(count)]
    subprocess.run([PUBLISHER, "-p", str(broker.port), *words, *repeat], check=True, timeout=60)


def test_a_full_queue_of_mosquitto_is_exit_1_with_the_count(
    kerbstone: Command, mosquitto: Make
) -> None:
    """It has acknowledged all of them with success."""
    broker = mosquitto(f"{OPEN}max_queued_messages 5\n")
    watch = ("subscribe", "--broker", broker.url, "--dropped", "--for")
    away(broker)
    publish(broker, 5)
    said = kerbstone(*watch, "2.5")
    assert said.code == 0, said.err
    late = subprocess.Popen(
        ["sh", "-c", f"sleep 1; exec {PUBLISHER} -p {broker.port} -V 5 -q 1 "
         "-t kerbstone/v1/s/gw-1/up/event -m x --repeat 3"]
    )  # fmt: skip
    said = kerbstone(*watch, "5")
    assert late.wait(60) == 0
    assert said.code == 1
    assert "dropped 3 messages more, 3 since its start" in said.err
    assert "dropped while this listened: 3" in said.err


def test_a_broker_that_does_not_tell_is_exit_1_with_the_remedy(
    kerbstone: Command, mosquitto: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end, and while it runs: a watch that hears nothing must not look like a good one."""
    monkeypatch.setattr(subscribe, "COUNT_NS", 100_000_000)
    broker = mosquitto("allow_anonymous true\nsys_interval 0\n")
    said = kerbstone("subscribe", "--broker", broker.url, "--dropped", "--json", "--for", "1")
    assert said.code == 1
    assert said.err.count(DROPPED_TOPIC) == 3, "what it listens to, the note, the end"
    assert '"dropped_since_start":null' in said.out.replace(" ", "")


def test_with_other_options_it_is_refused(kerbstone: Command) -> None:
    url = f"mqtt://127.0.0.1:{free_port()}"
    said = kerbstone("subscribe", "--broker", url, "--dropped", "--check")
    assert said.code == 2
    assert "--dropped watches the broker" in said.err


@pytest.fixture
def city(tmp_path: Path) -> Iterator[CityBroker]:
    with running(tmp_path / "city", programs=("platform-watch",)) as city:
        yield city


def test_the_configuration_that_ships_tells_it_to_the_watch(
    kerbstone: Command, city: CityBroker
) -> None:
    def watch(name: str) -> int:
        cert, key = city.folder / f"{name}.crt", city.folder / f"{name}.key"
        return kerbstone(
            "subscribe", "--broker", f"mqtts://127.0.0.1:{city.watch.port}", "--ca",
            city.folder / "ca.crt", "--cert", cert, "--key", key, "--dropped", "--for", "2",
        ).code  # fmt: skip

    assert watch("platform-watch") == 0
    assert watch("gateways/gw-0001") == 1, "it is told nothing"
