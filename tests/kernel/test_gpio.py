"""The GPIO bus on gpio-sim: the real character device, its times, its numbers, its buffer."""

from typing import Any

import pytest

from tests.kernel.machine import GuestMachine

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def seen(machine: GuestMachine) -> dict[str, Any]:
    """What guest/edges.py saw, scene by scene."""
    found: dict[str, Any] = machine.python("edges")
    print(f"at {found['steady']['rate']} edges/s: {found['steady']['got']} of 2000 came")
    return found


@pytest.mark.parametrize("scene", ["steady", "stalled", "overrun"])
def test_every_edge_at_1000_a_second_is_there_or_known_to_be_lost(
    seen: dict[str, Any], scene: str
) -> None:
    reported = seen[scene]
    assert reported["got"] + reported["lost"] == reported["sent"]
    assert reported["last"] == reported["sent"]  # the kernel's number of the last is the true count
    assert reported["numbers"]
    assert reported["order"]
    assert reported["levels"]  # odd numbers rise and even ones fall: none is another's
    assert reported["first_level"] is False
    assert reported["states"] == ["open"]


def test_the_rate_was_what_it_should_be(seen: dict[str, Any]) -> None:
    assert seen["steady"]["rate"] >= 900  # otherwise nothing was shown


@pytest.mark.parametrize("scene", ["steady", "stalled"])
def test_a_stall_of_50_ms_after_each_batch_loses_nothing(seen: dict[str, Any], scene: str) -> None:
    assert seen[scene]["lost"] == 0


def test_a_stall_of_seconds_loses_what_the_buffer_cannot_hold_and_counts_it(
    seen: dict[str, Any],
) -> None:
    reported = seen["overrun"]
    assert reported["lost"] > 1_000
    assert reported["got"] >= 1_024  # the size of the buffer


@pytest.mark.parametrize("scene", ["steady", "stalled", "overrun"])
def test_an_edge_has_the_kernels_time_however_late_it_is_read(
    seen: dict[str, Any], scene: str
) -> None:
    reported = seen[scene]
    # between the moment before it was made and the moment before the next one was
    assert reported["early"] == 0
    assert reported["late"] == 0


def test_a_raging_line_is_closed_and_retried_and_its_neighbour_loses_nothing(
    seen: dict[str, Any],
) -> None:
    reported = seen["storm"]
    assert reported["wild"][:2] == ["open", "chatter"]
    assert reported["reopened"]
    assert reported["heard"]  # it counts again
    assert reported["wild"][-1] == "open"
    assert reported["calm"] == ["open"]
    assert (reported["calm_got"], reported["calm_lost"]) == (100, 0)
    assert "loose wire" in reported["text"]


def test_a_line_that_another_program_has_is_named_and_taken_once_it_is_free(
    seen: dict[str, Any],
) -> None:
    assert seen["busy"]["states"] == ["busy", "open"]
    assert "held by doorbell" in seen["busy"]["text"]


def test_a_chip_that_vanishes_is_opened_again_once_it_is_back(seen: dict[str, Any]) -> None:
    reported = seen["gone"]
    assert reported["states"][0] == "open"
    assert reported["states"][1] == "missing"
    assert reported["states"][-1] == "open"
    assert "is gone" in reported["text"]
    assert reported["heard"]
    assert reported["busy_share"] < 0.5  # a dead descriptor is readable: nobody may spin on it


def test_names_bias_and_debounce_are_as_the_kernel_takes_them(seen: dict[str, Any]) -> None:
    reported = seen["settings"]
    assert reported["states"] == {"LOOP0": "open", "GPIO2": "open", "3": "open", "LOOP9": "missing"}
    assert "no line LOOP9" in reported["missing"]
    assert reported["pulled"] == ["pull-up", "pull-down"]
    assert reported["levels"] == {"LOOP0": True, "GPIO2": False, "3": False}
    assert reported["debounced"] == [True]  # of five changes within the time of debouncing
    assert reported["free"]


def test_gpiozeros_own_devices_work_over_our_factory(seen: dict[str, Any]) -> None:
    assert seen["pins"] == {"active": True, "lamp": ["1", "0"]}
