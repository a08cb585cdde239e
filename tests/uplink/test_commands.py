"""Commands: fresh ones are obeyed, once; all others are refused."""

import json
from typing import Any

import pytest

from edge.uplink.commands import COMMANDS_BURST, ID_LIMIT, CommandAnswer, CommandHandler
from edge.uplink.presence import REPLIES_LIMIT, PresencePublisher
from edge.wire import Command, Topics, WireError, encode_command

S = 1_000_000_000
EPOCH = 77


class CommandingPlatform:
    """Sends commands to a gateway of one verb, and counts how often it is obeyed."""

    def __init__(self) -> None:
        self.obeyed = 0
        self.gateway = CommandHandler("gw", EPOCH, {"light": self._light})
        self.now_ns = 0

    async def _light(self, command: Command) -> dict[str, Any]:
        if command.arguments.get("colour") == "blue":
            raise WireError("there is no blue")
        self.obeyed += 1
        return {"lit": command.arguments.get("colour")}

    async def ask(
        self,
        id_: str,
        *,
        epoch: int = EPOCH,
        verb: str = "light",
        retained: bool = False,
        **more: Any,
    ) -> Any:
        self.now_ns += S
        payload = encode_command("gw", epoch, id_, more)
        answer = await self.gateway.take(verb, payload.data, retained, self.now_ns)
        return None if answer is None else dict(answer.data)


async def test_a_command_is_obeyed_and_answered() -> None:
    platform = CommandingPlatform()
    answer = await platform.ask("a", colour="red")
    assert answer == {"id": "a", "verb": "light", "ok": True, "lit": "red"}


async def test_the_same_id_gets_the_same_answer_and_does_nothing() -> None:
    platform = CommandingPlatform()
    first = await platform.ask("a", colour="red")
    assert await platform.ask("a", colour="green") == first
    assert platform.obeyed == 1


async def test_a_command_of_another_epoch_is_a_replay() -> None:
    platform = CommandingPlatform()
    answer = await platform.ask("a", epoch=EPOCH - 1)
    assert answer["ok"] is False
    assert f"the current one, {EPOCH}" in answer["error"]
    assert platform.obeyed == 0
    assert platform.gateway.refused == 1


async def test_a_retained_command_gets_no_answer() -> None:
    platform = CommandingPlatform()
    assert await platform.ask("a", retained=True) is None
    assert platform.obeyed == 0


async def test_an_unknown_verb_is_told_which_there_are() -> None:
    answer = await CommandingPlatform().ask("a", verb="dance")
    assert answer["error"] == 'Unknown command "dance". Known commands: light.'


async def test_what_a_verb_cannot_do_is_an_answer_and_may_be_tried_again() -> None:
    platform = CommandingPlatform()
    assert (await platform.ask("a", colour="blue"))["error"] == "there is no blue"
    assert (await platform.ask("a", colour="red"))["ok"] is True


async def test_a_flood_is_dropped_and_counted() -> None:
    platform = CommandingPlatform()
    payloads = [encode_command("gw", EPOCH, str(n), {}).data for n in range(100)]
    answers = [await platform.gateway.take("light", p, False, S) for p in payloads]
    assert sum(answer is not None for answer in answers) == COMMANDS_BURST
    assert platform.gateway.refused == 100 - COMMANDS_BURST
    assert await platform.gateway.take("light", payloads[99], False, 2 * S) is not None


async def test_remembered_answers_are_bounded() -> None:
    platform = CommandingPlatform()
    for number in range(ID_LIMIT + 20):
        await platform.ask(str(number))
    assert len(platform.gateway._answers) == ID_LIMIT


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", json.dumps({"v": 1, "gw": "x"}).encode()])
async def test_what_is_no_command_is_a_wire_error(payload: bytes) -> None:
    with pytest.raises(WireError):
        await CommandingPlatform().gateway.take("light", payload, False, S)


class RoomyLink:
    """A connection with room for so many messages more."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.went: list[Any] = []  # the id of an answer, the state of a status

    def publish(
        self, _token: object, _topic: str, payload: bytes, _type: str, **_more: bool
    ) -> None:
        assert self.room > 0, "the broker may hang up on what is more than it takes"
        self.room -= 1
        data = json.loads(payload)
        assert (data["v"], data["gw"]) == (1, "gw")
        self.went.append(data.get("id", data.get("state")))


def hurried(presence: PresencePublisher, room: int) -> list[Any]:
    """What goes over a new connection with so much room."""
    link: Any = RoomyLink(room)
    for _ in range(2):
        presence.publish_status_and_replies(link)
    return list(link.went)


def test_answers_that_find_no_room_wait_for_the_next_connection_too() -> None:
    presence = PresencePublisher(
        Topics("city", "site", "gw"), "gw", 1, dict, dict, lambda *_: None, {}
    )
    presence.reply([CommandAnswer("light", {"id": n}) for n in range(3)])
    presence.publish_birth()
    assert hurried(presence, 0) == []
    assert hurried(presence, 2) == ["online", 0], "the birth comes first"
    presence.reply([CommandAnswer("light", {"id": 3})])
    assert hurried(presence, 9) == [1, 2, 3]
    assert hurried(presence, 9) == []


def test_of_too_many_answers_that_wait_the_oldest_go() -> None:
    presence = PresencePublisher(
        Topics("city", "site", "gw"), "gw", 1, dict, dict, lambda *_: None, {}
    )
    presence.reply([CommandAnswer("light", {"id": n}) for n in range(REPLIES_LIMIT)])
    presence.reply([CommandAnswer("light", {"id": REPLIES_LIMIT})])
    assert hurried(presence, 2 * REPLIES_LIMIT) == list(range(1, REPLIES_LIMIT + 1))
