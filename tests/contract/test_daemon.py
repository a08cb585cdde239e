"""The whole daemon against a real broker: every message that arrives is declared."""

from collections.abc import Callable
from pathlib import Path

from edge.wire import decode
from tests.contract.conform import conforms
from tests.contract.daemon import live
from tests.kit.broker import Mosquitto
from tests.kit.gateway import GatewayProcess


def test_every_message_of_a_daemon_is_declared(
    tmp_path: Path, broker: Mosquitto, site: Callable[..., GatewayProcess]
) -> None:
    kinds = set()
    for each in live(tmp_path, broker, site, "msgpack"):
        if "/down/" in each.topic:
            continue
        for message in decode(each.topic, each.payload, each.content_type):
            conforms(message)
            kinds.add(message.topic.stream or message.kind)
    assert kinds >= {
        "traffic",
        "air",
        "event",
        "raw",
        "manifest",
        "status",
        "meta",
        "last",
        "answer",
    }
