"""A newcomer's way: find the devices, paste what was found, and the city gets what they measure."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.kit.broker import BINARY
from tests.kit.subscribed import events, once
from tests.system.scene_catalogue import (
    AFTER,
    BEFORE,
    CORRECTED,
    GROWTH,
    HELD,
    NUMBERS,
    THREE_HOURS_S,
    Catalogue,
    live_through,
)

PLAIN = [name for name in HELD if name != "sht4x"]  # that one is corrected
STREAMS = {name: "energy" if name in NUMBERS else "air" for name in HELD}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    if not Path(BINARY).exists():
        pytest.skip("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
    return live_through(tmp_path_factory.mktemp("catalogue"))


def of(lived: Catalogue, name: str) -> list[dict[str, Any]]:
    return once(lived.found, STREAMS[name], name)


def points(records: Iterable[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """A point of each record that heard of it."""
    found = [record["points"][key] for record in records]
    return [point for point in found if point["quality"]]


def value(point: dict[str, Any]) -> Any:
    return point["last"] if "last" in point else point["mean"]


def words(found: Iterable[dict[str, Any]]) -> set[str]:
    """All qualities; on a busy machine a poll may be late, and that is told as well."""
    return {word for point in found for word in point["quality"]} - {"bad:stale"}


def means(found: Iterable[dict[str, Any]]) -> list[float]:
    return [point["mean"] for point in found if point["mean"] is not None]


def check(found: list[float], right: float) -> None:
    """All of them are this value, to a step of its point."""
    assert found
    assert found == [pytest.approx(right, abs=0.006)] * len(found)


def alternate(states: list[str]) -> bool:
    """On, off, on, ... off."""
    return bool(states) and states == ["on", "off"] * (len(states) // 2)


def test_a_scan_finds_every_device_and_what_it_prints_is_a_configuration(lived: Catalogue) -> None:
    code, said = lived.scan
    assert code == 0, said
    devices = tomllib.loads(said)["device"]
    assert {name: device["driver"] for name, device in devices.items()} == {n: n for n in HELD}
    assert lived.checked[0] == 0, lived.checked[1]


def test_nothing_is_missing_and_the_daemon_ended_in_peace(lived: Catalogue) -> None:
    assert lived.check[0] == 0, lived.check[1]
    assert lived.codes == [0, 0], lived.log
    assert "Traceback" not in lived.log


@pytest.mark.parametrize(("name", "key"), [(n, key) for n in PLAIN for key in HELD[n]])
def test_what_the_devices_hold_arrives_and_is_good(lived: Catalogue, name: str, key: str) -> None:
    found = [p for p in points(of(lived, name), key) if set(p["quality"]) == {"good"}]
    right = {HELD[name][key]}
    if key == "energy_import":  # before, and after it was exchanged
        right = {kwh + n * GROWTH for kwh in (BEFORE[name], AFTER[name]) for n in (0, 1)}
    assert found
    for point in found:
        assert any(value(point) == pytest.approx(kept, abs=0.006) for kept in right), point


@pytest.mark.parametrize("name", NUMBERS)
def test_another_meter_is_told_and_its_register_is_no_growth(lived: Catalogue, name: str) -> None:
    """One while the daemon runs, one while it does not."""
    (swap,) = events(lived.found, "swap", name)
    assert (swap["before"], swap["after"]) == NUMBERS[name]
    assert (swap["mono"][0] > lived.up_us) is (name == "dlt645")
    totals = points(of(lived, name), "energy_import")
    last = [value(point) for point in totals if value(point) is not None][-1]
    assert last == pytest.approx(AFTER[name] + GROWTH, abs=GROWTH / 4)
    grown = sum(point["delta"] or 0 for point in totals)
    assert grown == pytest.approx(2 * GROWTH, abs=GROWTH / 4)
    assert "uncertain:gap" in words(totals), "the first value of the new one belongs to nobody"
    assert not events(lived.found, "meter", name), "it told who it is: nobody has to guess"


def test_a_meter_that_is_exchanged_is_missed_and_found_again(lived: Catalogue) -> None:
    faults = events(lived.found, "sensor_fault", "sdm120")
    assert alternate([e["state"] for e in faults])
    assert faults[0]["reason"] == "silent"
    assert "bad:silent" in words(points(of(lived, "sdm120"), "voltage_l1"))


def test_a_blocked_fan_is_told_until_it_turns_again(lived: Catalogue) -> None:
    reported = [e for e in events(lived.found, "health", "sps30") if e["condition"] == "fan"]
    assert [e["state"] for e in reported] == ["on", "off"]
    assert "fan stands still" in reported[0]["text"]
    assert reported[0]["mono"][0] < lived.down_us
    assert reported[1]["mono"][0] > lived.up_us, "it was on the card when the daemon ended"
    marked = [r for r in of(lived, "sps30") if "fan" in r.get("health", [])]
    assert marked
    assert "good" not in words(points(marked, "pm2_5"))


@pytest.mark.parametrize("name", ["sen55", "sps30"])
def test_warming_up_is_a_quality_and_over_soon(lived: Catalogue, name: str) -> None:
    after = [r for r in of(lived, name) if r["mono"][0] >= lived.up_us]
    found = points(after, "pm2_5")
    assert words(found[:1]) <= {"bad:warmup", "uncertain:warmup"}
    assert found[0]["mean"] is None or found[0]["grade"] == "uncertain"
    assert words(found[-1:]) <= {"good"}
    reported = [e for e in events(lived.found, "health", name) if e["condition"] == "warmup"]
    assert alternate([e["state"] for e in reported])


def test_a_contact_is_told_at_once_and_in_its_own_words(lived: Catalogue) -> None:
    doors = events(lived.found, "door", "cabinet")
    assert [(e["state"], e["text"]) for e in doors] == [
        ("on", "cabinet: the door is open"),
        ("off", "cabinet: the door is closed"),
    ]


def test_what_the_gas_algorithm_has_learnt_survives_a_restart(lived: Catalogue) -> None:
    assert lived.rested, "it did not stop measuring, and so never forgot"
    assert lived.taught_s > THREE_HOURS_S
    assert lived.begun_s > THREE_HOURS_S


def test_an_expired_calibration_is_a_quality_and_both_values_are_there(lived: Catalogue) -> None:
    found = of(lived, "sht4x")
    expired, raw = points(found, "temperature"), points(found, "temperature_raw")
    assert words(expired) == {"uncertain:calibration"}
    assert words(raw) == {"good"}
    check(means(expired), CORRECTED["temperature"])
    check(means(raw), HELD["sht4x"]["temperature"])


def test_a_valid_calibration_corrects_and_is_told_with_its_certificate(lived: Catalogue) -> None:
    found = of(lived, "sht4x")
    valid, raw = points(found, "humidity"), points(found, "humidity_raw")
    assert words(valid) == words(raw) == {"good"}
    check(means(valid), CORRECTED["humidity"])
    check(means(raw), HELD["sht4x"]["humidity"])
    meta = [r for r in lived.found if r["kind"] == "meta"][-1]
    reported = meta["devices"]["sht4x"]["points"]["humidity"]["calibration"]
    assert (reported["by"], reported["certificate"]) == ("City laboratory", "K-1")


def test_the_description_names_the_meters_that_are_there_now(lived: Catalogue) -> None:
    meta = [r for r in lived.found if r["kind"] == "meta"][-1]
    now = {name: meta["devices"][name]["serial"] for name in NUMBERS}
    assert now == {name: after for name, (_, after) in NUMBERS.items()}
