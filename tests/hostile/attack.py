"""One gateway against the others, over any broker: what it said is nobody else's afterwards."""

import itertools
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from edge.wire import decode_receipts
from tests.hostile.attempts import EPOCH, EVIL, SITE, VICTIM, record, said
from tests.hostile.platform import stored
from tests.kit.mqttclient import MqttClient, Will

OWN = f"kerbstone/v1/{SITE}/{EVIL}/up/energy/hut"
DOWN = b"kerbstone/v1/+/%s/down/#"
Attempts = Iterable[tuple[str, str, bool]]


class Attack:
    """`evil` tries, `victim` is silent and listens; `receipts` writes `store` meanwhile."""

    def __init__(self, evil: Callable[[], MqttClient], victim: MqttClient, store: Path) -> None:
        self._make, self._store = evil, store
        self.victim = victim
        self._numbers = itertools.count(1)
        self.allowed = self.refused = 0
        self._evil = self._new()

    def _new(self) -> MqttClient:
        made = self._make()
        made.wishes = (DOWN % EVIL.encode(),)
        assert made.connect() == 0
        return made

    def publish(self, attempts: Attempts) -> None:
        for topic, gw, retain in attempts:
            payload = said(gw, topic, next(self._numbers))
            code = self._evil.publish(topic.encode(), payload, retain=retain)
            if code in (0, 16):
                self.allowed += 1
            else:
                self.refused += 1

    def will(self, topic: str, gw: str, retain: bool) -> None:
        """Connect with a will, and go without a word."""
        dying = self._make()
        dying.will = Will(topic.encode(), said(gw, topic, next(self._numbers)), retain)
        code = dying.connect()
        dying.drop()
        self.refused += code != 0
        self._evil.drop()
        self._evil = self._new()

    def judge(self) -> None:
        """When all that was said has been worked off, nothing of it is the victim's."""
        seq = next(self._numbers)
        end = time.monotonic() + 60
        while not any(epoch == EPOCH and seq in numbers for epoch, numbers in self._receipts()):
            assert time.monotonic() < end, "the platform does not answer"
            self._evil.publish(OWN.encode(), record(EVIL, "energy", "hut", seq))
            time.sleep(0.1)
            self._evil.hear()
        self.victim.hear()
        assert self.victim.received == [], "a receipt went to another gateway"
        for gw, topic in stored(self._store):
            assert gw == EVIL, topic
            assert topic.split("/")[3] == EVIL, topic
        self._evil.received.clear()

    def _receipts(self) -> Iterable[tuple[int, range]]:
        for topic, payload in self._evil.received:
            assert topic.split("/")[3:] == [EVIL, "down", "receipt"]
            for each in decode_receipts(payload, EVIL):
                for first, last in each.ranges:
                    yield each.epoch, range(first, last + 1)


def shown_as(lines: str) -> set[str]:
    """Gateways of the messages that `subscribe --json` has shown."""
    found = [json.loads(line) for line in lines.splitlines()]
    return {each["gw"] for each in found if "topic" in each} | {
        each["topic"].split("/")[3] for each in found if "topic" in each
    }


def impostor_topics(gw: str = VICTIM) -> list[str]:
    """Those of the first report, and their relatives."""
    own, other = f"kerbstone/v1/{SITE}/{EVIL}/up", f"kerbstone/v1/{SITE}/{gw}/up"
    return [
        f"{own}/{SITE}/{gw}/up/energy/m", f"{own}/{other}/energy/m", f"{own}/{gw}/up/energy",
        f"{own}/up/energy", f"{own}/up/status", f"{other}/energy/m", f"{other}/status",
        f"kerbstone/v1/{gw}/{EVIL}/up/energy/m", f"kerbstone/v1/up/{EVIL}/up/energy/m",
        f"kerbstone/v1//{EVIL}/up/energy/m", f"{own}/energy/m", f"{own}/status", f"{own}/last/m",
        f"{own}/energy.m.{SITE}.{gw}.up.energy", f"{own}.{SITE}.{gw}.up.energy.m",
        f"{own}/energy/", f"{own}//energy", f"/{other}/energy/m",
    ]  # fmt: skip
