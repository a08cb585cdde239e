"""Ask a gateway for what is missing: the command `resend` (decision 14), and its answer."""

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import aiomqtt
from msgspec import UNSET, ValidationError, convert, to_builtins
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.core.numbers import Range, count_in_ranges
from edge.platform.auditreport import Missing
from edge.platform.subscription import (
    BrokerSource,
    UnreachableError,
    make_client,
    subscribe_all,
    to_arrived,
)
from edge.wire import DecodedMessage, WireError, decode, encode_command
from edge.wire.contract.down import Answer, Ranges

RANGES_PER_COMMAND: Final = 1000  # of one command: at most 40 KB, and 64 KiB are allowed
COMMANDS_PER_RUN: Final = 10  # of one run: a gateway takes ten at once, then one a second
EXPIRY_S: Final = 60  # the broker throws a command away that it could not deliver until then


@dataclass(frozen=True, slots=True)
class ResendResult:
    """`resent` rows go out again, `gone` numbers are not there any more.

    `left` numbers were not asked for, or the gateway has not looked for them yet: ask again.

    `error` is a sentence when the gateway could not be asked, or refused.
    """

    resent: int = 0
    gone: int = 0
    left: int = 0
    error: str = ""


async def request_resend(
    source: BrokerSource, branch: str, missing: Missing, wait_s: float
) -> ResendResult:
    """`branch` is prefix, site and gateway. Waits so long for each answer.

    Raises UnreachableError when the broker cannot be reached.
    """
    commands = list(split_commands(missing, secrets.randbelow(max(1, _ranges(missing)))))
    try:
        async with make_client(source, 0) as client:
            await subscribe_all(client, [f"{branch}/up/status", f"{branch}/up/answer/resend"])
            return await _request_in_turn(client, branch, commands, wait_s)
    except (aiomqtt.MqttError, OSError) as error:
        raise UnreachableError(f"{source.host}:{source.port}: {error}") from error


def _ranges(missing: Missing) -> int:
    return sum(len(ranges) for ranges in missing.values())


def split_commands(missing: Missing, begin: int = 0) -> Iterator[list[Ranges]]:
    """What `ranges` says in each of as few commands as hold them all. They begin with range
    number `begin` and end with the one before it: a gateway looks only so far for each command,
    and numbers that are gone stay missing, so that the first ones would hide the others for ever.
    """
    order = [(place, each) for place, ranges in sorted(missing.items()) for each in ranges]
    turned = [*order[begin:], *order[:begin]]
    command: list[Ranges] = []
    room = RANGES_PER_COMMAND
    for (epoch, stream), found in groupby(turned, key=lambda one: one[0]):
        ranges: list[Range] = [each for _, each in found]
        while ranges:
            if room < 2:
                yield command
                command, room = [], RANGES_PER_COMMAND
            part, ranges = ranges[: room - 1], ranges[room - 1 :]
            room -= len(part) + 1
            command.append(Ranges(epoch=epoch, stream=stream, ranges=part))
    if command:
        yield command


async def _request_in_turn(
    client: aiomqtt.Client, branch: str, commands: list[list[Ranges]], wait_s: float
) -> ResendResult:
    prefix = branch.rsplit("/", 2)[0]
    no_answer = f"no answer within {wait_s:g} s"
    try:
        status = await _first_message(client, wait_s, prefix, "status")
    except TimeoutError:
        return ResendResult(error=no_answer)
    epoch = status.data.get("epoch")
    if status.data.get("state") == "offline" or not isinstance(epoch, int):
        return ResendResult(
            error="not asked: the gateway is offline; ask again when it is connected"
        )
    resent = gone = left = 0
    for place, ranges in enumerate(commands[:COMMANDS_PER_RUN]):
        name = secrets.token_hex(8)
        payload = encode_command(status.topic.gw, epoch, name, {"ranges": to_builtins(ranges)})
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = payload.content_type
        properties.MessageExpiryInterval = EXPIRY_S
        topic = f"{branch}/down/cmd/resend"
        await client.publish(topic, payload.data, qos=1, properties=properties)
        try:
            data = (await _first_message(client, wait_s, prefix, "answer", name)).data
        except TimeoutError:
            return ResendResult(resent, gone, left + _count(commands[place:]), no_answer)
        try:
            known = {name: data[name] for name in Answer.__struct_fields__ if name in data}
            answer = convert(known, Answer)  # a later gateway may say more
        except ValidationError as error:
            why = f"the gateway's answer breaks the contract: {error}"
            return ResendResult(resent, gone, left + _count(commands[place:]), f"{why:.300}")
        if not answer.ok:
            why = f"the gateway refused the command: {answer.error or 'it does not say why'}"
            return ResendResult(resent, gone, left + _count(commands[place:]), f"{why:.300}")
        if answer.resent is UNSET or answer.gone is UNSET:
            why = "the gateway's answer breaks the contract: it does not say resent and gone"
            return ResendResult(resent, gone, left + _count(commands[place:]), why)
        resent, gone = resent + answer.resent, gone + answer.gone
        left += answer.left or 0  # absent: it has searched to the end
    return ResendResult(resent, gone, left + _count(commands[COMMANDS_PER_RUN:]))


def _count(commands: Sequence[Sequence[Ranges]]) -> int:
    return sum(count_in_ranges(each.ranges) for ranges in commands for each in ranges)


async def _first_message(
    client: aiomqtt.Client, wait_s: float, prefix: str, kind: str, name: str = ""
) -> DecodedMessage:
    """The first message of this kind; of answers the one to the command of this name."""
    async with asyncio.timeout(wait_s):
        async for came in client.messages:
            one = to_arrived(came)
            try:
                (message,) = decode(one.topic, one.payload, one.content_type, prefix=prefix)
            except WireError:
                continue
            if message.kind == kind and (kind != "answer" or message.data.get("id") == name):
                return message
    raise TimeoutError
