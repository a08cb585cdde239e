"""`kerbstone decode`: recorded frames of every driver, whole and damaged."""

import json
from typing import Any

import pytest

import drivers
from tests.cli.conftest import Command
from tests.drivers import bench
from tests.drivers.heard import by_name
from tests.drivers.vectors import vector

POLLED = [name for name in drivers.names() if drivers.spec(name).wiring != "gpio"]
LINED = [name for name in drivers.names() if name not in POLLED]
CASES = [pytest.param(n, c, id=f"{n}: {c['name']}") for n in POLLED for c in bench.cases(n)]


def pairs(name: str, case: bench.Case) -> list[tuple[str, str]]:
    """What was asked and what was said to it, as a recording of its wire has them."""
    if drivers.spec(name).wiring == "i2c":
        return [(step["write"], step.get("reply", "")) for step in case["script"]]
    if "dialogue" in case:
        return [(step["write"], step["reply"]) for step in case["dialogue"]]
    if drivers.spec(name).wiring == "modbus":
        return list(zip(case["frames"][::2], case["frames"][1::2], strict=True))
    return [("", frame) for frame in case["frames"]]


def frames(name: str, case: bench.Case) -> list[str]:
    """All of it, in its order."""
    return [frame for pair in pairs(name, case) for frame in pair if frame]


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
    case = bench.cases(name)[0]
    values = max((answer for _, answer in pairs(name, case)), key=len)
    whole = frames(name, case)
    place = whole.index(values)
    good = values.replace(" ", "")
    checked = bool(bench.trace(name).get("checked"))  # without a checksum, a bit is not noticed
    turned = [f"{good[:6]}{int(good[6:8], 16) ^ 0x20:02x}{good[8:]}"] if checked else []
    for damaged in (*turned, good[:-4] or "00", "ff" * 8):
        said = kerbstone("decode", name, *whole[:place], damaged)
        assert said.code == 1, damaged
        assert "Traceback" not in said.err
        if not checked:
            continue
        assert "crc" in said.err
        if said.out:  # the points whose words were whole may be told
            assert any(row["quality"] == "bad:crc" for row in rows(said.out).values())


@pytest.mark.parametrize("name", POLLED)
def test_a_question_without_an_answer_is_exit_1(kerbstone: Command, name: str) -> None:
    question, answer = next(p for p in pairs(name, bench.cases(name)[0]) if p[1])
    if not question:
        pytest.skip("it talks by itself")
    assert answer
    said = kerbstone("decode", name, question)
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


# -- frames from elsewhere: one of each kind; all of them are in tests/drivers/test_vectors.py -----


def test_a_module_agrees_with_what_others_made_of_its_answer(kerbstone: Command) -> None:
    told = vector("sen55-read")
    said = kerbstone("decode", "sen55", "03c4", told["raw_hex"], "--json")
    assert said.code == 0, said.err
    found = {point: row["value"] for point, row in rows(said.out).items()}
    assert found == pytest.approx(by_name(told["decoded"]))


@pytest.mark.parametrize(
    ("code", "reason"), [(1, "fault"), (3, "fault"), (4, "fault"), (6, "busy")]
)
def test_a_refusal_is_a_quality_with_its_reason(kerbstone: Command, code: int, reason: str) -> None:
    asked, refused = vector("eastron-sdm630-v2-req-0000"), vector(f"modbus-exception-{code}")
    said = kerbstone("decode", "sdm630", asked["raw_hex"], refused["raw_hex"])
    assert said.code in (0, 1)
    assert {row["quality"] for row in rows(said.out).values()} == {f"bad:{reason}"}
    assert {row["value"] for row in rows(said.out).values()} == {None}
