"""Flags that are up, and those that have turned."""

from edge.core import Draft, Stream
from edge.gateway.flaglog import LAST, FlagLog
from edge.wire.contract.event import Anomaly, Congestion, Door, SensorFault

S = 1_000_000_000


def congestion(state: str, at_ns: int) -> Draft:
    body = Congestion(
        state="on" if state == "on" else "off", approach="north", p=0.9, by="rule occupancy",
        text="Congestion on north.", reason="occupied for 60 %",
    )  # fmt: skip
    return Draft(Stream.EVENT, "north", at_ns, at_ns, body)


async def test_a_flag_is_up_until_it_goes_off_and_has_its_reason() -> None:
    log = FlagLog(list, lambda: 100 * S)
    log.see_events([congestion("on", 90 * S)])
    (up,) = (await log.answer({}))["up"]
    assert (up["event"], up["source"], up["age_s"]) == ("congestion", "north", 10.0)
    assert up["reason"] == "occupied for 60 %"
    log.see_events([congestion("off", 99 * S)])
    answer = await log.answer({})
    assert answer["up"] == []
    assert [each["state"] for each in answer["turned"]] == ["off", "on"]


async def test_faults_of_two_loops_are_two_flags_and_a_door_is_none() -> None:
    log = FlagLog(list, lambda: 100 * S)
    for part in ("lead", "trail"):
        body = SensorFault(state="on", fault="chatter", part=part, text="It chatters.")
        log.see_events([Draft(Stream.EVENT, "north_1", S, S, body)])
    door = Door(state="on", text="The door is open.")
    log.see_events([Draft(Stream.EVENT, "door", S, S, door)])
    assert len((await log.answer({}))["up"]) == 2


async def test_a_flag_from_before_the_start_is_up_without_words() -> None:
    log = FlagLog(lambda: [("anomaly", "meter", "power"), ("congestion", "north", "")], lambda: S)
    body = Anomaly(state="on", point="power", text="power of meter is stuck.", cause="stuck")
    log.see_events([Draft(Stream.EVENT, "meter", 0, 0, body)])
    up = (await log.answer({}))["up"]
    assert [(each["source"], each["age_s"]) for each in up] == [("north", None), ("meter", 1.0)]


async def test_only_the_last_turns_are_remembered() -> None:
    log = FlagLog(list, lambda: 1000 * S)
    for n in range(LAST + 10):
        log.see_events([congestion("on" if n % 2 else "off", n * S)])
    assert len((await log.answer({}))["turned"]) == LAST
