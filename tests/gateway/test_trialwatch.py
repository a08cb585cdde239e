"""The configuration of a running daemon, watched and changed: in virtual time, with a daemon that
is played, and the real files."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import drivers
from edge.config import Site, load_site
from edge.core import ConfigError
from edge.gateway.changescope import ChangeScope
from edge.gateway.lastgood import GOOD_NAME, LastGood, file_digest
from edge.gateway.trialstate import WorkingParts
from edge.gateway.trialwatch import ConfigControl
from edge.gateway.trieddaemon import ChangeWithdrawnError, ConfigChangeError
from edge.identity.configoutcome import OUTCOME_NAME, read_config_outcome
from edge.wire.contract.boxevent import AlarmKind, Configuration
from tests.config.test_sitechanges import SITE
from tests.kit.clock import VirtualClock

S = 1_000_000_000
HEARD = SITE + '[store]\nrun_dir = "{folder}/run"\n'


@dataclass
class PlayedGateway:
    """Well, unless a test says otherwise."""

    clock: VirtualClock
    connected: bool = True
    tries_every_s: int = 20  # while it is not connected
    fails: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    events: list[tuple[Any, Any]] = field(default_factory=list)

    @property
    def connection_failures(self) -> int:
        return self.clock.mono_ns // (self.tries_every_s * S)

    def healthy(self, now_ns: int) -> bool:
        return True

    def announce(self, kind: AlarmKind, text: str) -> None:
        self.problems[kind] = text
        self.events.append((None, None))

    def note(self, kind: AlarmKind, text: str) -> None:
        self.problems[kind] = text

    def withdraw(self, kind: AlarmKind) -> None:
        self.problems.pop(kind, None)

    def report(self, event: Configuration) -> None:
        self.events.append((event.outcome, event.reason if event.reason else None))

    def working(self) -> WorkingParts:
        return WorkingParts(tuple(each for each in ("hut_air", "main") if each not in self.fails))

    def failing(self) -> Mapping[str, str]:
        return self.fails

    def link_words(self) -> tuple[str, str]:
        return "mqtt://here", "refused"


@dataclass
class PlayedDaemon:
    """Says what it was asked. A change waits for `waits_s`, in which it can be withdrawn, and then
    takes `takes_s`."""

    site: Site
    clock: VirtualClock
    gateway: PlayedGateway
    waits_s: float = 0.0
    takes_s: float = 0.0
    changed: list[list[str]] = field(default_factory=list)
    stopped: bool = False
    becomes: Callable[[Site], None] = lambda site: None

    def stop(self, *, again: bool = False) -> None:
        self.stopped = True

    def can_change(self, site: Site) -> bool:
        return True

    async def change(self, site: Site, scope: ChangeScope, withdrawn: asyncio.Event | None) -> None:
        if scope.buses and self.waits_s:
            until_ns = self.clock.mono_ns + int(self.waits_s * S)
            ending = asyncio.ensure_future(self.clock.sleep_until(until_ns))
            stop = asyncio.ensure_future((withdrawn or asyncio.Event()).wait())
            await asyncio.wait((ending, stop), return_when=asyncio.FIRST_COMPLETED)
            ending.cancel()
            stop.cancel()
            if withdrawn is not None and withdrawn.is_set():
                raise ChangeWithdrawnError
        if self.takes_s:
            await self.clock.sleep_until(self.clock.mono_ns + int(self.takes_s * S))
        self.changed.append(scope.restarts)
        self.site = site
        self.becomes(site)


async def at_once(work: Callable[..., Any], *arguments: Any) -> Any:
    """In place of a thread, for which virtual time would not wait."""
    return work(*arguments)


class PlayedBox:
    """A site file that ran well, and its daemon."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, VirtualClock(1000 * S)
        (folder / "run").mkdir()
        self.file, self.text = folder / "site.toml", HEARD.format(folder=folder)
        self.file.write_text(self.text)
        first = LastGood(folder / "state", self.file)
        first.choose(0)
        first.is_good()
        first.stopped()
        self.former_answers, self.plugged = False, True
        self.begin()

    def begin(self) -> None:
        """A process starts, with what lies there."""
        self.last = LastGood(self.folder / "state", self.file, boot="b")
        site = self.last.choose(0, self.clock.mono_ns)
        self.daemon = PlayedDaemon(site, self.clock, PlayedGateway(self.clock))
        self.control = ConfigControl(
            self.last, self.clock, "b",
            probe=lambda places: self.former_answers, carrier=lambda: self.plugged,
            in_thread=at_once,
        )  # fmt: skip

    async def take(self, text: str, confirm_s: int = 0) -> ChangeScope:
        digest = file_digest(text.encode())
        self.control.announce(digest, confirm_s)
        self.file.write_text(text)
        scope = await self.control.take(digest)
        await asyncio.sleep(0)
        return scope

    @property
    def state(self) -> tuple[str, str]:
        found = self.control.status()
        return found["state"], found["reason"]

    @property
    def outcome(self) -> tuple[str, str] | None:
        found = read_config_outcome(self.folder / "run" / OUTCOME_NAME)
        return None if found is None else (found.state, found.reason)

    async def run(self, seconds: float) -> None:
        await self.clock.run(seconds)


Scene = Callable[[PlayedBox], Coroutine[Any, Any, None]]


async def played(folder: Path, scene: Scene, box: PlayedBox | None = None) -> PlayedBox:
    box = box or PlayedBox(folder)
    watching = asyncio.create_task(box.control.watch(box.daemon))
    try:
        await box.run(0.1)
        await scene(box)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return box


async def test_a_good_change_of_the_broker_is_confirmed_after_five_minutes(tmp_path: Path) -> None:
    async def scene(box: PlayedBox) -> None:
        new = box.text.replace("a.example", "b.example")
        assert (await box.take(new)).restarts == ["uplink"]
        assert box.control.trial_word(file_digest(new.encode())) == "open"
        await box.run(290)
        assert box.state == ("trial", "")
        await box.run(30)
        assert box.state == ("confirmed", "")
        assert (box.folder / "state" / GOOD_NAME).read_text() == new
        assert box.daemon.gateway.events == [("trial", None), ("confirmed", None)]
        assert box.outcome == ("confirmed", "")

    await played(tmp_path, scene)


async def test_deaf_while_the_former_broker_answers_is_rolled_back_in_place(
    tmp_path: Path,
) -> None:
    async def scene(box: PlayedBox) -> None:
        box.former_answers, box.daemon.gateway.connected = True, False
        await box.take(box.text.replace("a.example", "b.example"))
        await box.run(150)
        assert box.state == ("rolled_back", "deaf")
        assert box.daemon.changed == [["uplink"], ["uplink"]]
        assert box.daemon.site.uplink.url == "mqtt://a.example:1883"
        assert not box.daemon.stopped
        assert "answers" in box.daemon.gateway.problems["configuration"]
        assert box.daemon.gateway.events == [("trial", None), ("rolled_back", "deaf")]
        assert box.outcome == ("rolled_back", "deaf")

    await played(tmp_path, scene)


async def test_an_outage_holds_the_trial_open_and_its_end_decides(tmp_path: Path) -> None:
    async def scene(box: PlayedBox) -> None:
        box.daemon.gateway.connected = False
        await box.take(box.text.replace("a.example", "b.example"))
        await box.run(7200)
        assert box.state == ("trial", ""), "neither rolled back nor confirmed"
        assert "neither" in box.control.trial_text()
        box.daemon.gateway.connected = True
        await box.run(330)
        assert box.state == ("confirmed", "")

    await played(tmp_path, scene)


async def test_a_broker_that_comes_back_is_given_time_until_it_was_tried(tmp_path: Path) -> None:
    """After an outage a box waits before it tries again, and the city may spread its boxes over an
    hour: nobody is deaf who has not tried."""

    async def scene(box: PlayedBox) -> None:
        box.daemon.gateway.connected = False
        await box.take(box.text.replace("a.example", "b.example"))
        await box.run(7200)
        box.former_answers, box.daemon.gateway.tries_every_s = True, 10**6
        await box.run(3600)
        assert box.state == ("trial", "")
        box.daemon.gateway.connected = True
        await box.run(330)
        assert box.state == ("confirmed", "")

    await played(tmp_path, scene)


async def test_a_modem_that_is_dead_holds_it_too(tmp_path: Path) -> None:
    async def scene(box: PlayedBox) -> None:
        box.daemon.gateway.connected, box.plugged, box.former_answers = False, False, True
        await box.take(box.text.replace("a.example", "b.example"))
        await box.run(7200)
        assert box.state == ("trial", "")

    await played(tmp_path, scene)


async def test_blind_is_rolled_back_and_stays_so_when_the_former_one_sees(tmp_path: Path) -> None:
    async def scene(box: PlayedBox) -> None:
        def becomes(site: Site) -> None:
            wrong = site.devices["main"].options["unit"] == 7
            box.daemon.gateway.fails = {"main": "no answer"} if wrong else {}

        box.daemon.becomes = becomes
        assert (await box.take(box.text.replace("unit = 1", "unit = 7"))).restarts == ["bus meters"]
        await box.run(90)
        assert box.state == ("rolled_back", "blind")
        assert box.outcome is None, "not before it is known that the file is to blame"
        await box.run(90)
        assert box.outcome == ("rolled_back", "blind")
        await box.run(7200)
        assert box.state == ("rolled_back", "blind")

    await played(tmp_path, scene)


async def test_a_cable_that_is_pulled_in_the_same_minute_does_not_cost_a_good_file(
    tmp_path: Path,
) -> None:
    box = PlayedBox(tmp_path)
    new = box.text.replace("unit = 1", "unit = 1\nevery_s = 5")

    watching = asyncio.create_task(box.control.watch(box.daemon))
    await box.run(0.1)
    await box.take(new)
    box.daemon.gateway.fails = {"main": "no answer"}
    await box.run(90)
    assert box.state == ("rolled_back", "blind")
    await box.run(90)
    assert box.daemon.stopped, "the former one cannot read it either: tried again"
    assert box.control.again
    watching.cancel()
    box.last.stopped()
    box.begin()
    box.daemon.gateway.fails = {"main": "no answer"}
    watching = asyncio.create_task(box.control.watch(box.daemon))
    await box.run(330)
    assert box.state == ("confirmed", "")
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_device_that_the_change_does_not_touch_is_nobody_s_fault(tmp_path: Path) -> None:
    async def scene(box: PlayedBox) -> None:
        await box.take(box.text.replace("a.example", "b.example"))
        box.daemon.gateway.fails = {"main": "no answer"}
        await box.run(330)
        assert box.state == ("confirmed", "")

    await played(tmp_path, scene)


async def test_without_a_confirmation_in_time_it_comes_back(tmp_path: Path) -> None:
    async def scene(box: PlayedBox) -> None:
        await box.take(box.text.replace("0x44", "0x45"), confirm_s=600)
        await box.run(590)
        assert box.state == ("trial", "")
        assert box.control.trial_text()
        await box.run(30)
        assert box.state == ("rolled_back", "unconfirmed")

    await played(tmp_path, scene)


async def test_a_confirmation_needs_the_health_as_well(tmp_path: Path) -> None:
    async def scene(box: PlayedBox) -> None:
        new = box.text.replace("0x44", "0x45")
        await box.take(new, confirm_s=600)
        with pytest.raises(ConfigChangeError):
            box.control.confirm("0" * 64)
        await box.run(60)
        box.control.confirm(file_digest(new.encode()))
        await box.run(60)
        assert box.state == ("trial", "")
        await box.run(300)
        assert box.state == ("confirmed", "")
        await box.run(900)
        assert box.state == ("confirmed", "")

    await played(tmp_path, scene)


async def test_a_person_rolls_it_back_at_once(tmp_path: Path) -> None:
    async def scene(box: PlayedBox) -> None:
        new = box.text.replace("0x44", "0x45")
        await box.take(new)
        await box.control.roll_back(file_digest(new.encode()))
        await box.run(1)
        assert box.state == ("rolled_back", "by_hand")
        with pytest.raises(ConfigChangeError):
            await box.control.roll_back(file_digest(new.encode()))

    await played(tmp_path, scene)


async def test_what_needs_the_daemon_anew_is_begun_by_its_next_start(tmp_path: Path) -> None:
    async def scene(box: PlayedBox) -> None:
        assert (await box.take(box.text.replace("spacing_m = 4.0", "spacing_m = 4.2"))).daemon
        assert box.daemon.stopped
        assert box.control.again

    box = await played(tmp_path, scene)
    box.last.stopped()
    box.begin()
    assert box.daemon.site.lanes["north_1"].spacing_m == 4.2
    assert box.state == ("trial", "")


async def test_a_file_that_cannot_be_used_is_refused_and_nothing_is_changed(
    tmp_path: Path,
) -> None:
    async def scene(box: PlayedBox) -> None:
        with pytest.raises(ConfigError):
            await box.take(box.text.replace("sht4x", "sht9"))
        assert box.daemon.changed == []
        with pytest.raises(ConfigChangeError, match="another one by now"):
            await box.control.take("0" * 64)

    await played(tmp_path, scene)


async def test_mending_a_trial_is_another_trial_measured_by_the_last_good_one(
    tmp_path: Path,
) -> None:
    async def scene(box: PlayedBox) -> None:
        box.daemon.gateway.fails = {}
        await box.take(box.text.replace("unit = 1", "unit = 7"))
        box.daemon.gateway.fails = {"main": "no answer"}
        await box.run(20)
        mended = box.text.replace("unit = 1", "unit = 8")
        await box.take(mended)
        await box.run(90)
        assert box.state == ("rolled_back", "blind"), "it was read before the first change"

    await played(tmp_path, scene)


async def test_the_last_good_one_applied_again_needs_no_trial(tmp_path: Path) -> None:
    async def scene(box: PlayedBox) -> None:
        await box.take(box.text.replace("unit = 1", "unit = 7"))
        await box.run(5)
        await box.take(box.text, confirm_s=600)
        assert box.control.trial_word(file_digest(box.text.encode())) == "good"
        await box.run(5)
        assert box.control.status()["trial"] is None
        assert box.last.trials.state.trial is None, "and that of the other one is over"
        assert box.daemon.site.devices["main"].options["unit"] == 1
        await box.run(10)
        assert box.daemon.gateway.events == [("trial", None), ("replaced", None)]

    await played(tmp_path, scene)


async def test_a_file_that_is_edited_by_hand_in_a_trial_ends_it_at_the_next_start(
    tmp_path: Path,
) -> None:
    box = PlayedBox(tmp_path)
    watching = asyncio.create_task(box.control.watch(box.daemon))
    await box.run(0.1)
    new = box.text.replace("unit = 1", "unit = 7")
    await box.take(new, confirm_s=3600)
    box.file.write_text(box.text.replace("unit = 1", "unit = 8"))
    box.control.confirm(file_digest(new.encode()))
    await box.run(400)
    found = box.control.status()
    assert (found["state"], found["changed"]) == ("trial", True)
    assert "has been edited since" in found["trial"]["held"]
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    box.last.stopped(WorkingParts())
    box.begin()
    watching = asyncio.create_task(box.control.watch(box.daemon))
    await box.run(1)
    found = box.control.status()
    assert (found["state"], found["trial"]) == ("none", None)
    assert file_digest(new.encode())[:12] in found["text"]
    assert box.daemon.gateway.events == [("replaced", None)]
    await box.run(330)
    found = box.control.status()
    assert (found["state"], found["text"]) == ("confirmed", "")
    assert "unit = 8" in (box.folder / "state" / GOOD_NAME).read_text()
    assert box.daemon.gateway.events == [("replaced", None)], "once"
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


def test_the_played_site_is_one(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text(HEARD.format(folder=tmp_path))
    assert set(load_site(file, drivers.catalogue()).devices) == {"hut_air", "main"}


async def test_without_one_that_ran_well_there_is_no_trial_and_nothing_is_promised(
    tmp_path: Path,
) -> None:
    async def scene(box: PlayedBox) -> None:
        (box.folder / "state" / GOOD_NAME).unlink()
        new = box.text.replace("0x44", "0x45")
        with pytest.raises(ConfigChangeError, match="nothing could come back"):
            box.control.announce(file_digest(new.encode()), 600)
        await box.take(new)
        assert box.control.trial_word(file_digest(new.encode())) == "nothing"
        box.daemon.gateway.connected, box.former_answers = False, True
        await box.run(700)
        assert box.control.status()["trial"] is None
        assert box.daemon.site.devices["hut_air"].options["address"] == 0x45

    await played(tmp_path, scene)
