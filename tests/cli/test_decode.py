"""`kerbstone decode`: recorded frames of every driver, whole and damaged."""

import json
from pathlib import Path
from typing import Any

import pytest

import drivers
from tests.cli.conftest import Command
from tests.drivers import bench

VECTORS = Path(__file__).parents[2] / "../shared/facts/vectors.json"
POLLED = [name for name in drivers.names() if drivers.spec(name).wiring != "gpio"]
LINED = [name for name in drivers.names() if name not in POLLED]
CASES = [pytest.param(n, c, id=f"{n}: {c['name']}") for n in POLLED for c in bench.cases(n)]


def frames(name: str, case: bench.Case) -> list[str]:
    """As a recording of its wire has them."""
    match drivers.spec(name).wiring:
        case "i2c":
            pairs = [(step["write"], step.get("reply", "")) for step in case["script"]]
            return [frame for pair in pairs for frame in pair if frame]
        case _:
            return list(case["frames"])


def rows(text: str) -> dict[str, dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)
    assert all(set(row) == {"point", "value", "unit", "quality"} for row in found)
    return {row["point"]: row for row in found}


@pytest.mark.parametrize(("name", "case"), CASES)
def test_every_recorded_conversation_is_explained(
    kerbstone: Command, name: str, case: bench.Case
) -> None:
    said = kerbstone("decode", name, *frames(name, case), "--json")
    found = rows(said.out)
    damaged = {key: want for key, want in case["expect"].items() if want == "bad:crc"}
    assert said.code == (1 if damaged else 0)
    if damaged:
        assert "crc" in said.err
    for key, want in case["expect"].items():
        row = found[key]
        if isinstance(want, str):
            if want.startswith("bad:") and want != "bad:warmup":
                assert (row["value"], row["quality"]) == (None, want)
            assert row["quality"] != "good"
        elif isinstance(want, dict):
            assert row["value"] == pytest.approx(want["value"], rel=1e-6)
        else:
            assert row["value"] == pytest.approx(want, rel=1e-6, abs=1e-9)
            assert row["quality"] == "good"
        assert row["unit"]


@pytest.mark.parametrize("name", POLLED)
def test_a_damaged_frame_is_exit_1_and_names_the_reason(kerbstone: Command, name: str) -> None:
    whole = frames(name, bench.cases(name)[0])
    place = max(range(len(whole)), key=lambda i: len(whole[i]))  # the values
    good = whole[place].replace(" ", "")
    for damaged in (
        f"{good[:6]}{int(good[6:8], 16) ^ 0x20:02x}{good[8:]}",  # a bit turned round
        good[:-4],  # cut off
        "ff" * 8,
    ):
        said = kerbstone("decode", name, *whole[:place], damaged)
        assert said.code == 1, damaged
        assert "crc" in said.err
        assert "Traceback" not in said.err
        if said.out:  # the points whose words were whole may be told
            assert any(row["quality"] == "bad:crc" for row in rows(said.out).values())


@pytest.mark.parametrize("name", POLLED)
def test_a_question_without_an_answer_is_exit_1(kerbstone: Command, name: str) -> None:
    if drivers.spec(name).wiring == "serial":
        pytest.skip("it talks by itself")
    said = kerbstone("decode", name, frames(name, bench.cases(name)[0])[0])
    assert said.code == 1
    assert said.out == ""
    assert "kerbstone decode: " in said.err


@pytest.mark.parametrize("word", ["zz", "0", "123", "0x0104", "42 4d 0", "--"])
def test_what_is_no_hexadecimal_is_exit_2(kerbstone: Command, word: str) -> None:
    said = kerbstone("decode", "pms5003", word)
    assert said.code == 2
    assert said.out == ""


def test_blanks_and_capitals_in_hexadecimal_are_fine(kerbstone: Command) -> None:
    (frame,) = frames("pms5003", bench.cases("pms5003")[0])[-1:]
    plain = kerbstone("decode", "pms5003", frame)
    spaced = " ".join(frame[i : i + 2] for i in range(0, len(frame), 2)).upper()
    assert kerbstone("decode", "pms5003", spaced).out == plain.out != ""


@pytest.mark.parametrize("name", ["sen56", "../sen55", "_sensirion", ""])
def test_an_unknown_driver_is_told_which_there_are(kerbstone: Command, name: str) -> None:
    said = kerbstone("decode", name, "00")
    assert said.code == 2
    assert all(known in said.err for known in drivers.names())


@pytest.mark.parametrize("name", LINED)
def test_a_device_on_a_gpio_line_has_no_frames(kerbstone: Command, name: str) -> None:
    said = kerbstone("decode", name, "00")
    assert said.code == 2
    assert "GPIO" in said.err


# -- frames from elsewhere: captured, from vendors, or computed by others --------------------------

RENAMED = {
    "pm1_0_ugm3": "pm1_0", "pm2_5_ugm3": "pm2_5", "pm4_0_ugm3": "pm4_0", "pm10_ugm3": "pm10",
    "pm1_atm": "pm1_0", "pm2_5_atm": "pm2_5", "pm10_atm": "pm10",
    "humidity_pct": "humidity", "temperature_c": "temperature",
    "nc0_5_cm3": "nc0_5", "nc1_0_cm3": "nc1_0", "nc2_5_cm3": "nc2_5", "nc4_0_cm3": "nc4_0",
    "nc10_cm3": "nc10", "typical_size_um": "typical_size",
}  # fmt: skip


def vectors(prefix: str) -> list[dict[str, Any]]:
    if not VECTORS.exists():
        pytest.skip("the vectors are not on this machine")
    found: list[dict[str, Any]] = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]
    return [vector for vector in found if vector["id"].startswith(prefix)]


def agree(said: str, decoded: dict[str, Any], tolerance: float) -> int:
    found, seen = rows(said), 0
    for name, want in decoded.items():
        row = found.get(RENAMED.get(name, name))
        if row is None:
            continue
        seen += 1
        if want is None:
            assert row["value"] is None
        else:
            assert row["value"] == pytest.approx(want, rel=tolerance, abs=1e-9), name
    return seen


@pytest.mark.parametrize(
    ("prefix", "name", "command"),
    [
        ("sen55-read", "sen55", "03c4"),
        ("sps30-i2c-read", "sps30", "0300"),
        ("pms5003-captured", "pms5003", None),
        ("pms5003-warming-up", "pms5003", None),
    ],
)
def test_air_sensors_agree_with_vectors(
    kerbstone: Command, prefix: str, name: str, command: str | None
) -> None:
    found = vectors(prefix)
    assert found
    for vector in found:
        asked = [] if command is None else [command]
        said = kerbstone("decode", name, *asked, vector["raw_hex"])
        assert said.code == 0, (vector["id"], said.err)
        if vector["decoded"].get("all_zero"):
            assert all(row["value"] is None for row in rows(said.out).values())
            continue
        seen = agree(said.out, vector["decoded"], vector.get("float_tolerance", 1e-6))
        assert seen > 0, vector["id"]


def test_eastron_meters_agree_with_vectors(kerbstone: Command) -> None:
    seen = 0
    for name in ("sdm120", "sdm630"):
        found = {vector["id"]: vector for vector in vectors(f"eastron-{name}")}
        for vector in found.values():
            asked = found.get(vector.get("request_id", ""))
            if asked is None:
                continue
            said = kerbstone("decode", name, asked["raw_hex"], vector["raw_hex"])
            assert said.code == 0, (vector["id"], said.err)
            values = {key.removesuffix("_total"): v for key, v in vector["decoded"].items()}
            found_here = agree(said.out, values, vector.get("float_tolerance", 1e-6))
            assert found_here == len(values), vector["id"]
            seen += 1
    assert seen >= 2


@pytest.mark.parametrize(
    ("code", "reason"), [(1, "fault"), (3, "fault"), (4, "fault"), (6, "busy")]
)
def test_a_refusal_is_a_quality_with_its_reason(kerbstone: Command, code: int, reason: str) -> None:
    (vector,) = vectors(f"modbus-exception-{code}")
    asked = next(
        v for v in vectors("eastron-sdm630") if v["direction"] == "tx" and "req" in v["id"]
    )
    said = kerbstone("decode", "sdm630", asked["raw_hex"], vector["raw_hex"])
    assert said.code in (0, 1)
    assert {row["quality"] for row in rows(said.out).values()} == {f"bad:{reason}"}
    assert {row["value"] for row in rows(said.out).values()} == {None}
