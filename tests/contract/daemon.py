"""A daemon as a process of its own, and every message that a broker gets of it, byte by byte."""

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from drivers.sim.sen55 import Sen55
from edge.platform.subscription import ArrivedMessage
from edge.wire import encode_command
from tests.kit.broker import SUBSCRIBER, Mosquitto
from tests.kit.gateway import AIR, LAST, LOOPS, GatewayProcess
from tests.kit.street import LoopStreet

PUBLISHER = SUBSCRIBER.replace("_sub", "_pub")
TOPIC = "kerbstone/v1/test/gw-1/#"
RAW = "[streams]\nraw = true\n[privacy]\npassages = true\n"
NORTH = '[approach.north]\nname = "Nordstraße"\nroad = "B 96"\nbearing_deg = 180\n'
PARTS = ("traffic/north_1", "air/hut_air", "event/gateway", "raw", "status", "meta", "last/hut_air")


class MessageRecorder:
    """A mosquitto_sub: topic, content type and payload of all that passes, up and down."""

    def __init__(self, broker: Mosquitto, folder: Path, topic: str = TOPIC) -> None:
        self._file = folder / "heard"
        self._out = self._file.open("wb")
        before = broker.log.count("Sending SUBACK")
        command = [SUBSCRIBER, "-p", str(broker.port), "-V", "5", "-q", "1", "-t", topic]
        self._process = subprocess.Popen([*command, "-F", "%t %r [%C] %x"], stdout=self._out)
        self._until(lambda: broker.log.count("Sending SUBACK") > before)

    def heard(self) -> list[ArrivedMessage]:
        """Everything so far."""
        found = []
        for line in self._file.read_text(encoding="utf-8").split("\n")[:-1]:
            topic, retained, kind, payload = line.split(" ")
            content_type = kind.removeprefix("[").removesuffix("]") or None
            found.append(
                ArrivedMessage(topic, bytes.fromhex(payload), content_type, retained == "1")
            )
        return found

    def wait(
        self, parts: Sequence[str], is_said: Callable[[ArrivedMessage], bool] = lambda _: True
    ) -> None:
        """Until a topic that begins (after `/up/`) with each of `parts` has said it."""

        def missing() -> list[str]:
            topics = {each.topic.partition("/up/")[2] for each in self.heard() if is_said(each)}
            return [part for part in parts if not any(t.startswith(part) for t in topics)]

        self._until(lambda: not missing(), 120.0, lambda: f"nothing on {missing()}")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)
        self._out.close()

    @staticmethod
    def _until(
        done: Callable[[], bool], timeout_s: float = 60.0, said: Callable[[], str] = str
    ) -> None:
        end = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < end, said()
            time.sleep(0.05)


def live(
    folder: Path, broker: Mosquitto, site: Callable[..., GatewayProcess], encoding: str
) -> list[ArrivedMessage]:
    """Loops, air and raw readings through a start and a stop of the daemon."""
    ear = MessageRecorder(broker, folder)
    with LoopStreet(folder, Sen55({"pm2_5": 9.5, "temperature": 23.5}, powered_s=86_400)) as street:
        one = site(LAST, LOOPS, AIR, RAW, NORTH, encoding=encoding)
        one.start()
        street.drive()
        ear.wait(PARTS)
        command(broker, ear, "status", {})
        missing = {"epoch": epoch(ear), "stream": "event", "ranges": [[1, 9]]}
        command(broker, ear, "resend", {"ranges": [missing]})
        command(broker, ear, "dance", {})
        ear.wait(["answer/status", "answer/resend", "answer/dance"])
        assert one.stop() == 0, one.log.read_text()
    ear.wait(["status"], is_said=lambda each: b'"offline"' in each.payload)
    ear.close()
    return ear.heard()


def epoch(ear: MessageRecorder) -> int:
    """The one that runs, as the status tells it."""
    reported = [
        json.loads(each.payload) for each in ear.heard() if each.topic.endswith("/up/status")
    ]
    return int(next(each["epoch"] for each in reversed(reported) if "epoch" in each))


def command(
    broker: Mosquitto, ear: MessageRecorder, verb: str, arguments: Mapping[str, Any]
) -> None:
    """As the platform publishes it."""
    payload = encode_command("gw-1", epoch(ear), f"test-{verb}", arguments).data
    topic = f"{TOPIC.removesuffix('/#')}/down/cmd/{verb}"
    where = [PUBLISHER, "-p", str(broker.port), "-V", "5", "-q", "1", "-t", topic]
    subprocess.run([*where, "-m", payload.decode()], check=True, timeout=60)
