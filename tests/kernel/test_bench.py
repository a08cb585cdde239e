"""The outputs of a bench on gpio-sim: the levels that a real chip shows, and its self-test."""

from typing import Any

import pytest

from tests.kernel.machine import GuestMachine

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def seen(machine: GuestMachine) -> dict[str, Any]:
    """What guest/bench.py saw."""
    found: dict[str, Any] = machine.python("bench")
    return found


@pytest.mark.parametrize(
    ("scene", "levels"),
    [
        ("push_pull", ["0", "1", "0"]),
        ("inverted", ["1", "0", "1"]),
        ("open_drain", ["1", "0"]),  # gpio-sim does not show when it lets go again
    ],
)
def test_an_output_is_off_when_it_is_opened_and_shows_what_it_is_told(
    seen: dict[str, Any], scene: str, levels: list[str]
) -> None:
    assert seen[scene] == levels


def test_an_input_shows_what_the_wire_has(seen: dict[str, Any]) -> None:
    assert seen["read"] == [True, False]


def test_a_line_has_one_owner(seen: dict[str, Any]) -> None:
    assert "busy" in seen["busy"]


@pytest.mark.parametrize("scene", ["right", "direct"])
def test_the_self_test_finds_right_wires_right(seen: dict[str, Any], scene: str) -> None:
    assert [(name, verdict) for name, verdict, _ in seen[scene]] == [
        ("north_1.lead", "ok"), ("north_1.trail", "ok"),
    ], seen[scene]  # fmt: skip


@pytest.mark.parametrize(("scene", "says"), [("crossed", "crossed?"), ("cut", "while it is on")])
def test_the_self_test_finds_wrong_wires(seen: dict[str, Any], scene: str, says: str) -> None:
    assert {verdict for _, verdict, _ in seen[scene]} == {"wrong"}
    assert all(says in text for _, _, text in seen[scene]), seen[scene]
