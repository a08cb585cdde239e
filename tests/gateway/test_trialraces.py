"""What happens to a trial at awkward moments: two people at once, and the same file twice."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.gateway.lastgood import file_digest
from edge.gateway.sitefile import SiteFile
from edge.gateway.trieddaemon import ConfigChangeError
from edge.identity.configoutcome import OUTCOME_NAME, read_config_outcome
from tests.gateway.test_trialwatch import PlayedBox, at_once, played


def digest_of(text: str) -> str:
    return file_digest(text.encode())


class Held:
    """Work in a thread that lasts until it is let go."""

    def __init__(self, name: str) -> None:
        self.name, self.begun, self.go = name, asyncio.Event(), asyncio.Event()

    async def __call__(self, work: Callable[..., Any], *arguments: Any) -> Any:
        found = await at_once(work, *arguments)
        if getattr(work, "__name__", "") == self.name and not self.go.is_set():
            self.begun.set()
            await self.go.wait()
        return found


async def test_a_file_that_mends_the_broker_is_not_rejected_for_the_one_before_it(
    tmp_path: Path,
) -> None:
    """It is taken while it is looked whether the former broker answers."""

    async def scene(box: PlayedBox) -> None:
        box.former_answers, box.daemon.gateway.connected = True, False
        held = box.control._in_thread = Held("<lambda>")
        await box.take(box.text.replace("a.example", "b.example"))
        running = asyncio.create_task(box.run(150))
        await held.begun.wait()
        held.go.set()
        held.begun.clear()
        held.go = asyncio.Event()
        await held.begun.wait()  # the second answer of it would be the last
        mended = box.text.replace("a.example", "c.example")
        box.daemon.becomes = lambda site: setattr(box.daemon.gateway, "connected", True)
        await box.take(mended)
        held.go.set()
        await running
        assert box.state == ("trial", "")
        await box.run(330)
        assert box.state == ("confirmed", "")

    await played(tmp_path, scene)


async def test_of_two_who_take_at_once_the_second_waits_for_his_turn(tmp_path: Path) -> None:
    async def scene(box: PlayedBox) -> None:
        held = box.control._in_thread = Held("load_usable_site")
        first = box.text.replace("unit = 1", "unit = 7")
        taking = asyncio.create_task(box.take(first))
        await held.begun.wait()
        box.file.write_text(second := box.text.replace("0x44", "0x45"))
        with pytest.raises(ConfigChangeError, match="under way"):
            await box.control.take(digest_of(second))
        held.go.set()
        with pytest.raises(ConfigChangeError, match="another one by now"):
            await taking
        await box.run(1)
        assert box.daemon.changed == []
        assert (await box.control.take(digest_of(second))).restarts == ["bus hut"]

    await played(tmp_path, scene)


async def test_a_file_that_could_not_be_taken_is_not_put_in_place(tmp_path: Path) -> None:
    """While a bus waits for the end of its window, `apply` is refused before that."""

    async def scene(box: PlayedBox) -> None:
        box.daemon.waits_s = 800.0
        await box.take(box.text.replace("0x44", "0x45"))
        with pytest.raises(ConfigChangeError, match="a change is under way: bus hut"):
            box.control.announce("a" * 64, 0)

    await played(tmp_path, scene)


@pytest.mark.parametrize("rolled_back", [True, False])
async def test_a_file_in_place_is_left_to_whoever_takes_it(
    tmp_path: Path, rolled_back: bool
) -> None:
    """Root opens the way to the brokers between the two: the daemon shall not begin anew for it,
    nor roll back meanwhile what it replaces. If nobody takes it, the daemon does."""

    async def scene(box: PlayedBox) -> None:
        wrong = box.text.replace("0x44", "0x45")
        await box.take(wrong)
        if rolled_back:
            await box.control.roll_back(digest_of(wrong))
        else:
            box.daemon.gateway.fails = {"hut_air": "no answer"}
            await box.run(45)
        await box.run(10)
        mended = box.text.replace("unit = 1", "unit = 7")
        box.control.announce(digest_of(mended), 0)
        box.file.write_text(mended)
        await box.run(30)
        assert (box.daemon.stopped, len(box.daemon.changed)) == (False, 1 + rolled_back)
        await box.control.take(digest_of(mended))
        await box.run(1)
        assert box.state == ("trial", "")
        assert not box.daemon.stopped

    await played(tmp_path, scene)


async def test_a_file_that_nobody_takes_is_tried_all_the_same(tmp_path: Path) -> None:
    async def scene(box: PlayedBox) -> None:
        wrong = box.text.replace("0x44", "0x45")
        await box.take(wrong)
        await box.control.roll_back(digest_of(wrong))
        mended = box.text.replace("unit = 1", "unit = 7")
        await box.run(1)
        box.control.announce(digest_of(mended), 0)
        box.file.write_text(mended)
        await box.run(120)
        assert box.daemon.stopped

    await played(tmp_path, scene)


async def test_a_file_that_was_pulled_out_and_is_tried_again_still_has_to_be_confirmed(
    tmp_path: Path,
) -> None:
    box = PlayedBox(tmp_path)
    new = box.text.replace("unit = 1", "unit = 1\nevery_s = 5")
    watching = asyncio.create_task(box.control.watch(box.daemon))
    await box.run(0.1)
    await box.take(new, confirm_s=600)
    box.daemon.gateway.fails = {"main": "no answer"}
    await box.run(180)
    assert box.control.again, "the former one cannot read it either: tried again"
    watching.cancel()
    box.last.stopped()
    box.begin()
    trial = box.last.trials.on_trial(digest_of(new))
    assert trial is not None
    assert trial.worked.devices == ("hut_air", "main")
    watching = asyncio.create_task(box.control.watch(box.daemon))
    await box.run(550)
    assert box.state == ("trial", "")
    await box.run(60)
    assert box.state == ("rolled_back", "unconfirmed")
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_applied_again_in_its_trial_it_has_to_be_confirmed_as_is_said_now(
    tmp_path: Path,
) -> None:
    async def scene(box: PlayedBox) -> None:
        new = box.text.replace("0x44", "0x45")
        await box.take(new)
        await box.run(200)
        await box.take(new, confirm_s=600)
        await box.run(590)
        assert box.state == ("trial", "")
        await box.run(20)
        assert box.state == ("rolled_back", "unconfirmed")

    await played(tmp_path, scene)


async def test_left_and_applied_again_it_has_all_its_time(tmp_path: Path) -> None:
    async def scene(box: PlayedBox) -> None:
        new = box.text.replace("0x44", "0x45")
        await box.take(new, confirm_s=60)
        await box.run(10)
        await box.take(box.text)
        await box.run(100)
        await box.take(new, confirm_s=600)
        await box.run(500)
        assert box.state == ("trial", "")

    await played(tmp_path, scene)


async def test_left_and_applied_again_with_a_new_start_it_was_not_killed(tmp_path: Path) -> None:
    async def scene(box: PlayedBox) -> None:
        await box.take(box.text.replace("0x44", "0x45"))
        await box.run(10)
        await box.take(box.text)
        await box.run(10)

    box = await played(tmp_path, scene)
    new = box.text.replace("0x44", "0x45")
    box.control.announce(digest_of(new), 0)
    box.file.write_text(new)  # the power of the board is there all the time; the daemon is killed
    box.begin()
    assert box.state == ("trial", "")


async def test_what_is_on_trial_again_is_not_put_back_for_its_former_trial(tmp_path: Path) -> None:
    async def scene(box: PlayedBox) -> None:
        new = box.text.replace("0x44", "0x45")
        await box.take(new)
        await box.control.roll_back(digest_of(new))
        await box.run(1)
        assert box.outcome == ("rolled_back", "by_hand")
        box.file.write_text(box.text)
        await box.run(30)
        await box.take(new)
        await box.run(30)
        assert box.state == ("trial", "")
        assert box.outcome != ("rolled_back", "by_hand")

    await played(tmp_path, scene)


async def test_the_time_to_confirm_begins_when_the_change_is_made(tmp_path: Path) -> None:
    """Buses change at the end of a window, and that may be a quarter of an hour away."""

    async def scene(box: PlayedBox) -> None:
        box.daemon.waits_s = 800.0
        await box.take(box.text.replace("0x44", "0x45"), confirm_s=600)
        await box.run(805)
        assert box.daemon.changed == [["bus hut"]]
        await box.run(100)
        assert box.state == ("trial", "")
        await box.run(505)
        assert box.state[1] == "unconfirmed" or "bus hut" in box.control.waiting

    await played(tmp_path, scene)


async def test_a_rollback_withdraws_a_change_that_waits_for_its_window(tmp_path: Path) -> None:
    """The technician is not told to come back in a quarter of an hour."""

    async def scene(box: PlayedBox) -> None:
        box.daemon.waits_s = 800.0
        await box.take(new := box.text.replace("0x44", "0x45"), confirm_s=600)
        await box.run(10)
        scope = await box.control.roll_back(digest_of(new))
        assert scope.restarts == [], "nothing had begun"
        await box.run(1)
        assert box.state == ("rolled_back", "by_hand")
        assert box.outcome == ("rolled_back", "by_hand")
        assert box.control.waiting == ""
        await box.run(900)
        assert box.daemon.changed == [[]]
        assert box.daemon.site.devices["hut_air"].options["address"] == 0x44
        assert not box.daemon.stopped

    box = await played(tmp_path, scene)
    box.begin()  # it was killed then
    assert box.state == ("rolled_back", "by_hand")


async def test_a_rollback_takes_back_what_ran_before_a_change_that_waits(tmp_path: Path) -> None:
    async def scene(box: PlayedBox) -> None:
        await box.take(box.text.replace("unit = 1", "unit = 7"))
        await box.run(10)
        box.daemon.waits_s = 800.0
        await box.take(second := box.text.replace("unit = 1", "unit = 8"))
        await box.run(10)
        assert (await box.control.roll_back(digest_of(second))).restarts == ["bus meters"]
        assert box.state == ("rolled_back", "by_hand")
        assert "bus meters" in box.control.waiting
        await box.run(810)
        assert box.daemon.site.devices["main"].options["unit"] == 1
        assert box.daemon.changed == [["bus meters"], ["bus meters"]]

    await played(tmp_path, scene)


async def test_a_rollback_waits_for_a_change_that_has_begun(tmp_path: Path) -> None:
    """In these seconds threads have ended that the new configuration begins again."""

    async def scene(box: PlayedBox) -> None:
        box.daemon.takes_s = 3.0
        await box.take(new := box.text.replace("0x44", "0x45"))
        await box.run(1)
        both = [asyncio.create_task(box.control.roll_back(digest_of(new))) for _ in range(2)]
        await box.run(1)
        assert not any(each.done() for each in both)
        await box.run(2)
        first, second = await asyncio.gather(*both, return_exceptions=True)
        assert not isinstance(first, BaseException)
        assert first.restarts == ["bus hut"]
        assert isinstance(second, ConfigChangeError), "it is rolled back once"
        await box.run(5)
        assert box.daemon.changed == [["bus hut"], ["bus hut"]]
        assert box.state == ("rolled_back", "by_hand")

    await played(tmp_path, scene)


async def test_what_waits_is_not_blamed_for_a_gateway_that_is_deaf_meanwhile(
    tmp_path: Path,
) -> None:
    """Nothing of it is in use yet, and it may mend the broker. It has its own time afterwards."""

    async def scene(box: PlayedBox) -> None:
        box.former_answers, box.daemon.gateway.connected = True, False
        await box.take(box.text.replace("a.example", "b.example"))
        await box.run(30)
        box.daemon.waits_s = 800.0
        second = box.text.replace("a.example", "b.example").replace("unit = 1", "unit = 8")
        await box.take(second)
        await box.run(790)
        assert box.state == ("trial", "")
        await box.run(150)
        assert box.state == ("rolled_back", "deaf")

    await played(tmp_path, scene)


@pytest.mark.parametrize("edited_by_hand", [True, False])
async def test_what_comes_back_and_never_ran_well_has_a_trial(
    tmp_path: Path, edited_by_hand: bool
) -> None:
    """The page's change was made of a file that nobody had restarted the daemon for; or the file
    was applied while the daemon stood still, over one that was on trial. Root puts that one back,
    the daemon tries it by itself, and it is deaf, too: nobody would have been there to see it."""
    box = PlayedBox(tmp_path)
    file, edited = SiteFile(box.file), box.text.replace("a.example", "b.example")
    second = edited.replace("0x44", "0x45").encode()
    box.former_answers = True

    async def apply(box: PlayedBox) -> None:
        if edited_by_hand:
            box.file.write_text(edited)
            box.control.announce(file_digest(second), 0)
            file.replace(second, file.digest)
            await box.control.take(file_digest(second))
        else:
            await box.take(edited)

    async def deaf(box: PlayedBox) -> None:
        box.daemon.gateway.connected = False
        await box.run(150)
        assert box.state == ("rolled_back", "deaf")
        outcome = read_config_outcome(tmp_path / "run" / OUTCOME_NAME)
        assert outcome is not None
        file.settle(outcome)
        box.daemon.gateway.connected = True
        await box.run(30)

    await played(tmp_path, apply, box)
    if not edited_by_hand:
        box.last.stopped()
        file.replace(second, file.digest, told=False)
        box.begin()
    await played(tmp_path, deaf, box)
    assert (box.file.read_text(), box.daemon.stopped) == (edited, True)
    box.last.stopped(box.control.worked)
    box.begin()
    assert box.state == ("trial", "")
    await played(tmp_path, deaf, box)
    assert box.daemon.site.uplink.url == "mqtt://a.example:1883"


async def test_what_is_applied_again_without_a_daemon_is_not_put_back_for_its_former_trial(
    tmp_path: Path,
) -> None:
    """Root looks at the daemon's last word whenever the page leaves a file."""
    file = SiteFile(tmp_path / "site.toml")

    async def scene(box: PlayedBox) -> None:
        new = box.text.replace("0x44", "0x45")
        await box.take(new)
        await box.control.roll_back(digest_of(new))
        await box.run(1)
        assert box.outcome == ("rolled_back", "by_hand")

    async def on_trial(box: PlayedBox) -> None:
        assert box.state == ("trial", "")
        outcome = read_config_outcome(tmp_path / "run" / OUTCOME_NAME)
        assert outcome is None or not file.settle(outcome)
        assert box.file.read_text() == new

    box = await played(tmp_path, scene)
    new = box.text.replace("0x44", "0x45")
    box.last.stopped()
    box.file.write_text(box.text)
    file.replace(new.encode(), file.digest, told=False)
    box.begin()
    await played(tmp_path, on_trial, box)
