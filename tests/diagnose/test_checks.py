"""Each check of the doctor finds its fault, and finds none where there is none: all of them."""

import pytest

from edge.diagnose.checks import CHECKS, CheckId
from tests.diagnose import boxcases, brokercases, gatewaycases, logincases, wirecases
from tests.diagnose.bench import CASES, Bench

MODULES = (boxcases, brokercases, gatewaycases, logincases, wirecases)  # they fill CASES


def test_every_check_has_a_case_with_its_fault_and_one_without() -> None:
    assert {check for check, side in CASES if side == "fault"} == set(CHECKS)
    assert {check for check, side in CASES if side == "clean"} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_it_finds_its_fault_and_says_what_to_do(check: CheckId, bench: Bench) -> None:
    found = CASES[check, "fault"](bench)
    assert found.outcomes & {"fault", "warning"}, found
    wrong = [row for row in found.rows if row["outcome"] in ("fault", "warning")]
    assert all(row["cause"] and row["remedy"] for row in wrong)
    silent = check == "gateway_runs"  # then there is more that nobody can reach
    assert found.code == (3 if silent else 1)


@pytest.mark.parametrize("check", CHECKS)
def test_it_finds_nothing_where_nothing_is_wrong(check: CheckId, bench: Bench) -> None:
    found = CASES[check, "clean"](bench)
    assert "ok" in found.outcomes, found
    assert not found.outcomes & {"fault", "warning"}, found
    assert found.code == 0


def test_a_grant_by_a_broker_that_delivers_nothing_is_not_called_a_right(bench: Bench) -> None:
    found = logincases.ruled(bench, "right_subscribe", "topic write #\n")
    assert found.outcomes == {"not checked"}, found
    assert "mosquitto" in found.rows[0]["cause"]


CLOCKS: tuple[CheckId, ...] = ("clock_synced", "clock_source")


@pytest.mark.parametrize("check", CLOCKS)
@pytest.mark.parametrize(("up_s", "unsynced_s", "wrong"), [
    (3000, None, False), (3700, None, True),
    (9000, 60.0, False), (3000, 3700.0, True),
])  # fmt: skip
def test_a_clock_has_as_long_as_the_gateway_gives_it(
    check: CheckId, up_s: int, unsynced_s: float | None, wrong: bool, bench: Bench
) -> None:
    bench.kernel(proc__77__comm="bash\n")
    boxcases.disciplined(bench, synced=False, up_s=up_s)
    status = None if unsynced_s is None else {"clock": {"unsynced_s": unsynced_s}}
    assert bench.ask(check, bench.site(), status=status).outcomes == {
        "warning" if wrong else "not checked"
    }


def test_a_calibration_that_has_ended_is_found_while_no_gateway_runs(bench: Bench) -> None:
    calibration = """
[calibration.hut]
device = "hut_air"
point = "temperature"
offset = -1.5
by = "City laboratory"
on = 2025-03-02
until = 2026-03-01
"""
    found = bench.ask("site_file", bench.site(gatewaycases.AIR_URL, gatewaycases.AIR, calibration))
    (row,) = found.rows
    assert row["outcome"] == "warning"
    assert "2026-03-01 has passed" in row["cause"]
