"""The whole watch in virtual time: a daemon, a bus and a kernel that are told what to say."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from edge.link.ladder import LadderStep
from edge.link.linkwatch import LOOK_S, available_steps
from edge.link.modempower import OFF_S, SwitchedPower
from edge.link.statusled import LedState, StatusLed
from tests.link.city import DAY_S, MB, NM, NOVEMBER_S, LinkSurroundings


@pytest.fixture
def city(tmp_path: Path) -> LinkSurroundings:
    return LinkSurroundings(tmp_path)


def test_a_good_day_does_nothing_and_writes_the_card_rarely(city: LinkSurroundings) -> None:
    state_file, writes, last = city.folder / "link_state", 0, b""

    def count() -> None:
        nonlocal writes, last
        now = state_file.read_bytes()
        writes, last = writes + (now != last), now

    assert city.live(DAY_S, count) == []
    assert writes <= 50
    assert city.state["status_led"] == "fine"


def test_the_ladder_is_climbed_and_all_of_it_is_told(city: LinkSurroundings) -> None:
    city.older(DAY_S)
    city.broker = False
    assert city.live(1_900) == ["ActivateConnection", "Reset", "Reboot"]
    assert city.boots == 2
    city.broker = True
    city.live(60)
    reported = city.reported("link_step")
    assert [one["step"] for one in reported] == ["reconnect", "modem", "reboot"]
    assert all("10 min" in one["why"] for one in reported)
    assert [one["boots"] for one in reported] == [1, 1, 1]


def test_days_without_a_broker_reboot_once_a_day_at_most(city: LinkSurroundings) -> None:
    city.older(DAY_S)
    city.broker = False
    done = city.live(3 * DAY_S)
    assert 2 <= done.count("Reboot") <= 3


def test_reboots_are_rare_even_if_the_clock_runs_wild(city: LinkSurroundings) -> None:
    city.older(DAY_S)
    city.broker = False

    def wild() -> None:
        city.wall_s = 0 if city.wall_s > NOVEMBER_S else 2_208_988_800  # 1970, 2040

    assert city.live(2 * DAY_S, wild).count("Reboot") <= 2


def test_a_reboot_that_cannot_be_counted_does_not_happen_and_is_told(
    city: LinkSurroundings,
) -> None:
    city.older(DAY_S)
    city.broker = False
    (city.folder / ".link_state.new").mkdir()  # the disk takes nothing any more
    assert "Reboot" not in city.live(DAY_S)
    reported = city.reported("link_step")
    assert any(one["step"] == "held" and "counted" in one["why"] for one in reported)
    assert city.state["link_state"] != "ok"


def test_a_link_that_is_down_by_itself_is_left_alone(city: LinkSurroundings) -> None:
    city.broker, city.active = False, False
    assert city.live(DAY_S + 3_600) == []  # a reboot may be ordered after a day
    assert city.state["link"] == "down"


def test_a_cable_that_is_out_is_left_alone(tmp_path: Path) -> None:
    city = LinkSurroundings(tmp_path, "ethernet")
    city.net.interface("eth0", carrier="0")
    city.broker = False
    assert city.live(DAY_S + 3_600) == []  # a reboot may be ordered after a day
    assert city.state["link"] == "no_carrier"


def test_without_networkmanager_the_carrier_counts_and_each_failure_is_told(tmp_path: Path) -> None:
    city = LinkSurroundings(tmp_path, "ethernet", reboot=False)
    city.net.interface("eth0", carrier="1")
    city.broker, city.faulty = False, {NM}
    city.live(700)
    (reported,) = city.reported("link_step")
    assert reported["result"].startswith("failed")


def test_the_supply_is_switched_between_the_modems_reset_and_the_reboot(tmp_path: Path) -> None:
    city = LinkSurroundings(tmp_path)
    waited, levels = list[float](), list[bool]()

    class Relay:
        def set(self, on: bool) -> None:
            levels.append(on)

    city.supply = SwitchedPower(Relay(), waited.append)
    city.boot()
    wanted: list[LadderStep] = ["reconnect", "modem", "power", "reboot"]
    assert list(available_steps(city.options, city.kind, city.supply)) == wanted
    city.broker = False
    city.live(1_900)
    assert (levels, waited) == ([False, True], [OFF_S])


def sender(city: LinkSurroundings, way: str = "rx") -> Callable[[], None]:
    """A megabyte with each look, counted from the boot on."""
    sent = count(MB, MB)

    def send() -> None:
        now = next(sent)
        city.net.interface("wwan0", rx=now if way == "rx" else 0, tx=now if way == "tx" else 0)

    return send


def test_the_budget_is_kept_over_reboots_and_said_at_each_level(tmp_path: Path) -> None:
    city = LinkSurroundings(tmp_path, budget_mb=1_000)
    city.live(500 * LOOK_S, sender(city))
    assert (city.state["bytes"]["used"], city.state["bytes"]["level"]) == (500 * MB, 0)
    city.watch.close()
    city.net.interface("wwan0")
    city.boot()
    send = sender(city)
    city.live(299 * LOOK_S, send)
    assert city.state["bytes"]["level"] == 0
    city.live(LOOK_S, send)
    assert city.state["bytes"]["level"] == 1
    assert city.reported("data_saver")[-1]["level"] == 1
    city.live(150 * LOOK_S, send)
    last = city.reported("data_saver")[-1]
    assert (last["level"], last["used"] >= 950 * MB) == (2, True)
    assert "merged into quarter hours" in last["why"]
    city.wall_s += 30 * DAY_S
    city.live(LOOK_S)
    assert city.reported("data_saver")[-1]["level"] == 0


def test_a_power_cut_costs_a_two_hundredth_of_the_budget_at_most(tmp_path: Path) -> None:
    city = LinkSurroundings(tmp_path, budget_mb=1_000)
    city.live(23 * LOOK_S, sender(city, "tx"))
    city.net.interface("wwan0")
    city.boot()  # nobody closed the book
    city.live(LOOK_S)
    assert city.state["bytes"]["used"] >= (23 - 5) * MB


def test_a_daemon_that_starts_anew_is_told_the_level_again(tmp_path: Path) -> None:
    city = LinkSurroundings(tmp_path, budget_mb=1)
    city.net.interface("wwan0", rx=MB)
    city.daemon_runs = False
    city.live(3_600)
    city.daemon_runs = True
    city.live(2 * LOOK_S)
    assert city.reported("data_saver")[0]["level"] == 2
    city.asked.clear()
    city.live(3_600)
    assert 5 <= len(city.reported("data_saver")) <= 7


def test_steps_that_the_daemon_does_not_take_are_kept(city: LinkSurroundings) -> None:
    city.verbs = {"link_facts"}
    city.broker = False
    assert city.live(700) == ["ActivateConnection"]
    assert city.state["untold"] == 1
    assert city.state["last"]["step"] == "reconnect"
    city.verbs |= {"link_step"}
    city.live(LOOK_S)
    assert city.state["untold"] == 0


def test_the_led_shows_all_four(city: LinkSurroundings) -> None:
    city.daemon_runs = False
    city.live(LOOK_S)
    assert city.state["status_led"] == "not_commissioned"
    (city.folder / "commissioned").touch()
    city.daemon_runs, city.broker = True, False
    city.live(LOOK_S)
    assert city.state["status_led"] == "no_broker"
    city.broker, city.faults = True, 2
    city.live(LOOK_S)
    assert city.state["status_led"] == "sensor_fault"
    city.faults = 0
    city.live(LOOK_S)
    assert city.state["status_led"] == "fine"


class ShownStates(StatusLed):
    """An LED that only notes what it is told to show."""

    def __init__(self) -> None:
        self.shown: list[LedState] = []

    def set_state(self, state: LedState) -> None:
        if self.shown[-1:] != [state]:
            self.shown.append(state)


def test_an_open_access_point_is_shown_at_once_and_instead_of_all_else(
    city: LinkSurroundings,
) -> None:
    city.status_led = led = ShownStates()
    city.boot()
    city.watch.show_access_point(True)
    assert led.shown == [], "before the first look nothing is known"
    city.live(60)
    assert led.shown == ["access_point"]
    city.broker = False
    city.live(60)
    assert led.shown == ["access_point"]
    assert city.state["status_led"] == "no_broker", "the state says what is beneath"
    city.watch.show_access_point(False)
    assert led.shown == ["access_point", "no_broker"]
    city.watch.show_access_point(True)
    assert led.shown == ["access_point", "no_broker", "access_point"]
