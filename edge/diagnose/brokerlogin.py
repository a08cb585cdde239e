"""A login at the broker as this gateway, while no daemon has the name: what it may do there.

What is published must be no record, and must leave nothing behind (decision 59): an answer to a
command `doctor` that nobody has given, and the status of a gateway that is not running, which is
true, both not retained. The session is a clean one, as the daemon's is, so nothing that is kept for
this gateway can be lost; what comes meanwhile is not answered.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from edge.uplink.broker import Broker
from edge.uplink.mqtt import (
    BrokerRefusedError,
    ConnectionLostError,
    MqttConnection,
    MqttSession,
    PublishAnswer,
    Will,
)
from edge.wire import JSON, Topics, encode_json

LOGIN_S: Final = 10.0  # for CONNACK and SUBACK
ANSWER_S: Final = 10.0  # for a PUBACK
VERB: Final = "doctor"


@dataclass(slots=True)
class BrokerLogin:
    """What the broker answered. Topics of `answers` have None while no answer has come."""

    broker: Broker
    error: Exception | None = None  # it did not let us in
    will_error: Exception | None = None  # it lets us in only without a will
    session: MqttSession | None = None
    asked: tuple[str, ...] = ()  # filters
    unsubscribed: tuple[str, ...] = ()
    record_topic: str = ""  # beside those of records
    status_topic: str = ""
    answers: dict[str, PublishAnswer | None] = field(default_factory=dict)
    took_s: float | None = None  # of the first answer
    lost: ConnectionLostError | None = None  # while we were there


async def log_in(broker: Broker, topics: Topics, gw: str, filters: Sequence[str]) -> BrokerLogin:
    """All of it; ends within a minute. Raises nothing for what the broker does."""
    broker = replace(broker, connect_s=LOGIN_S)
    found = BrokerLogin(
        broker,
        asked=tuple(filters),
        record_topic=topics.answer(VERB),
        status_topic=topics.status,
    )
    offline = {"v": 1, "gw": gw, "state": "offline", "why": "stopped"}
    will = Will(topics.status, encode_json({**offline, "why": "lost"}), JSON)
    answered = asyncio.Event()

    def on_answer(token: Hashable, answer: PublishAnswer) -> None:
        found.answers[str(token)] = answer
        answered.set()

    def on_lost(error: ConnectionLostError) -> None:
        found.lost = error
        answered.set()

    async def connect(will: Will | None) -> MqttConnection:
        return await MqttConnection.open(
            broker, will=will, on_answer=on_answer, on_lost=on_lost, subscribe=found.asked
        )

    link, found.error = await _let_in(connect, will)
    if isinstance(found.error, BrokerRefusedError):  # for its will?
        link, error = await _let_in(connect, None)
        if error is None:
            found.error, found.will_error = None, found.error
    if link is None:
        return found
    found.session, found.unsubscribed = link.session, link.unsubscribed
    nothing: dict[str, Any] = {"v": 1, "gw": gw, "id": VERB, "verb": VERB, "ok": True}
    for topic, body in ((found.record_topic, nothing), (found.status_topic, offline)):
        await _publish(link, found, topic, encode_json(body), answered)
    answers = dict(found.answers)  # what is unanswered is lost with the connection
    await link.close()
    found.answers = answers
    return found


async def _let_in(
    connect: Callable[[Will | None], Awaitable[MqttConnection]], will: Will | None
) -> tuple[MqttConnection | None, Exception | None]:
    try:
        return await connect(will), None
    except (OSError, BrokerRefusedError) as error:  # ConnectionLostError is among them
        return None, error


async def _publish(
    link: MqttConnection, found: BrokerLogin, topic: str, payload: bytes, answered: asyncio.Event
) -> None:
    """One message, and its answer; the first one is timed."""
    loop = asyncio.get_running_loop()
    answered.clear()
    start_s = loop.time()
    found.answers[topic] = link.publish(topic, topic, payload, JSON)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ANSWER_S):
            while found.answers[topic] is None and found.lost is None:
                await answered.wait()
                answered.clear()
    if isinstance(found.answers[topic], int) and found.took_s is None:
        found.took_s = loop.time() - start_s
