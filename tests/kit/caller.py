"""Who holds an MQTT connection of ours, and keeps all that it is told.

An example:

    caller = Caller()
    link = await caller.open(make_broker(broker.url, "gw"))
    link.publish("token", "a/topic", b"x", "application/json")
    await until(lambda: bool(caller.answers))
"""

from collections.abc import Hashable, Sequence

from edge.uplink.broker import Broker
from edge.uplink.mqtt import ConnectionLostError, InboundMessage, MqttConnection, PublishAnswer


class Caller:
    def __init__(self) -> None:
        self.answers: list[tuple[Hashable, PublishAnswer]] = []
        self.lost: list[ConnectionLostError] = []
        self.messages: list[InboundMessage] = []

    async def open(self, broker: Broker, subscribe: Sequence[str] = ()) -> MqttConnection:
        return await MqttConnection.open(
            broker,
            will=None,
            on_answer=lambda token, answer: self.answers.append((token, answer)),
            on_lost=self.lost.append,
            subscribe=subscribe,
            on_message=self.messages.append,
        )
