"""Checks that agencies publish say of published cases what the agencies say."""

from typing import Any

import pytest

from edge.infer.loops.published import (
    CARD_OFF,
    CHATTER,
    FEWEST,
    HIGH_OCCUPANCY,
    HIGH_SHARE,
    LOCKED_ON_S,
    MOST_SAMPLES,
    NO_HITS_S,
    PemsDay,
    TlsRecord,
    pems_status,
    tls_failures,
)
from tests.kit.vectors import vectors

PLAIN = TlsRecord(20, 4, 16, 88, 80, 90, 25, 60, 12, 87)


def _vectors(*starts: str) -> list[Any]:
    return [pytest.param(v, id=v["id"]) for v in vectors(*starts)]


def _tls(v: dict[str, Any]) -> list[int]:
    i, limits = v["inputs"], v["inputs"].get("limits", {})
    record = TlsRecord(
        i["qKfz"], i["qLkw"], i["qPkw"], i["vKfz"], i["vLkw"], i["vPkw"],
        i["tNetto"], i["T"], i["b"], i["vgKfz"], limits.get("prev_vg"),
    )  # fmt: skip
    return tls_failures(
        record,
        arithmetic=i.get("averaging", "arithmetic") == "arithmetic",
        speed_limit=limits.get("vlim"),
        occupancy_limit=limits.get("blim"),
    )


@pytest.mark.parametrize("v", _vectors("tls-plaus-"))
def test_the_public_tls_cases_fail_the_checks_that_they_are_made_for(v: dict[str, Any]) -> None:
    assert _tls(v) == v["expected"]["failed_rules"]


@pytest.mark.parametrize("v", _vectors("pems-card", "pems-good", "pems-hang", "pems-no", "pems-st"))
def test_the_public_pems_cases_have_their_status(v: dict[str, Any]) -> None:
    assert pems_status(PemsDay(**v["inputs"])) == v["expected"]["status"]


@pytest.mark.parametrize("v", _vectors("iris-autofail"))
def test_the_thresholds_are_those_of_iris(v: dict[str, Any]) -> None:
    reported = v["expected"]
    assert reported["chatter"] == f"more than {CHATTER} vehicles in 30 s"
    assert reported["locked_on_mainline_s"] == LOCKED_ON_S
    assert reported["no_hits_mainline_h"] * 3600 == NO_HITS_S["corridor"]


@pytest.mark.parametrize("v", _vectors("pems-daily"))
def test_the_thresholds_are_those_of_pems(v: dict[str, Any]) -> None:
    reported = v["expected"]
    assert reported["insufficient_below"] == int(FEWEST * MOST_SAMPLES)
    assert reported["card_off_zero_occ_at_least"] == CARD_OFF["urban"]
    assert reported["high_value_occ_gt"] == HIGH_OCCUPANCY
    assert reported["high_value_share_at_least"] == HIGH_SHARE


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ({}, []),
        ({"vehicles": 0, "trucks": 0, "cars": 3, "truck_speed": -1}, [1, 2]),
        ({"vehicles": 4, "cars": 0}, [2, 4]),
        ({"trucks": 0, "cars": 20}, [3]),
        ({"vehicles": 3}, [5]),
        ({"car_speed": -1}, [6]),
        ({"speed": 0}, [7]),
        ({"truck_speed": -1}, [8]),
        ({"net_gap_s": 0}, [9]),
        ({"net_gap_s": 61}, [9]),
        (
            {"vehicles": 0, "trucks": 0, "cars": 0, "truck_speed": -1, "car_speed": -1,
             "smooth_before": 80},
            [10],
        ),
        ({"speed": 130, "occupancy": 85}, [11]),
    ],
)  # fmt: skip
def test_each_logic_check_fails_for_what_it_is_about(
    change: dict[str, float], failed: list[int]
) -> None:
    record = TlsRecord(**{name: change.get(name, getattr(PLAIN, name)) for name in PLAIN.__slots__})
    assert tls_failures(record, speed_limit=110, occupancy_limit=60) == failed


def test_two_checks_hold_for_arithmetic_means_only() -> None:
    record = TlsRecord(20, 20, 0, 88, 80, 90, 25, 60, 12, 87)
    assert tls_failures(record) == [2, 4]
    assert tls_failures(record, arithmetic=False) == []


@pytest.mark.parametrize(
    ("day", "status"),
    [
        (PemsDay(0, 0, 0, 0, 0), "no data"),
        (PemsDay(734, 0, 0, 0, 0), "insufficient data"),
        (PemsDay(735, 0, 0, 0, 0), "good"),
        (PemsDay(1000, 590, 0, 0, 0), "card off"),
        (PemsDay(1000, 589, 200, 0, 0), "high value"),
        (PemsDay(1000, 589, 199, 20, 0), "intermittent"),
        (PemsDay(1000, 589, 199, 19, 500), "intermittent"),
        (PemsDay(1000, 589, 199, 19, 499), "good"),
    ],
)
def test_a_days_status_turns_at_the_published_shares(day: PemsDay, status: str) -> None:
    assert pems_status(day) == status
