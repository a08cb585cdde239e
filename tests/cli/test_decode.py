"""`kerbstone decode`: recorded frames of every driver, whole and damaged."""

import json
from typing import Any

import pytest

import drivers
from drivers.sim.dsmr import Dsmr
from tests.drivers import bench
from tests.drivers.heard_vectors import by_name
from tests.kit.command import Command
from tests.kit.vectors import vector

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


SOUND = [  # driver, frame, what it is
    ("sdm120", "010400000002 71cb", "a request to unit 1 for 2 input registers from 0x0000"),
    ("sdm120", "0184 02 c2c1", "unit 1 refuses function 4: it has no such register (exception 2)"),
    ("sdm120", "0106 0000 0001 480a", "function 6 (write one register), to unit 1 or from it"),
    ("sdm120", "0007 0000 0003 01 84 02", "unit 1 refuses function 4: it has no such register"),
    ("sdm120", "0007 0000 0006 01 0400000002", "a request to unit 1 for 2 input registers"),
    ("sdm120", "01 04 04 43 66 80 00 6f df", "an answer of unit 1: 2 input registers"),
    ("sunspec", "01039c400002 eb8f", "a request to unit 1 for 2 holding registers from 0x9c40"),
    ("sunspec", "018302c0f1", "unit 1 refuses function 3: it has no such register (exception 2)"),
    ("mbus", "1040014116", "a reset (SND_NKE) to address 1"),
    ("mbus", "e5", "an acknowledgement (E5)"),
    ("mbus", "107b017c16", "a request for data (REQ_UD2) to address 1"),
    ("mbus", "105b015c16", "a request for data (REQ_UD2) to address 1"),
    ("mbus", "105afe5816", "a request for alarms (REQ_UD1) to address 254"),
    ("mbus", "680b0b6853fd5221436587ffffffffee16", "a selection of the meter 87654321"),
    ("mbus", "680404680801700881 16", "the meter at address 1 answers with error 8: it is busy"),
    ("dlt645", "fefefefe68610100000000681104333334331416", "a request to read 00010000, to meter"),
    ("dlt645", "68aaaaaaaaaaaa681300df16", "a request for the address, to any meter"),
    ("dlt645", "6893001507242068d10135ca16", "meter 202407150093 has no such data"),
    ("iec62056", "2f3f210d0a", "a call to any meter"),
    ("iec62056", "2f3f3132333435363738210d0a", "a call to the meter 12345678"),
    ("iec62056", "063035300d0a", "an acknowledgement: go on at 9600 baud"),
    ("iec62056", "15", "a refusal (NAK)"),
    ("iec62056", "01423003 71", "a command: 'B0'"),
    ("iec62056", "2f49534b354d543137342d303030310d0a", "an identification: ISK MT174-0001"),
    ("dlms", "7ea0070321930f017e", "a call (SNRM)"),
]


@pytest.mark.parametrize(("name", "frame", "what"), SOUND)
def test_a_sound_request_command_or_refusal_is_named_and_not_called_damaged(
    kerbstone: Command, name: str, frame: str, what: str
) -> None:
    said = kerbstone("decode", name, frame)
    assert (said.code, said.out) == (1, "")
    assert "no values" in said.err
    assert f"frame 1 is intact: {what}" in said.err
    assert "damaged" not in said.err.replace("its CRC does not match", "")
    whole = bytes.fromhex(frame)
    if len(whole) > 1:  # one bit of it turned round, or its end lost
        for spoilt in (bytes([*whole[:-1], whole[-1] ^ 0x10]), whole[:-1]):
            said = kerbstone("decode", name, spoilt.hex())
            assert (said.code, said.out) == (1, "")
            assert f"frame 1 is intact: {what}" not in said.err


@pytest.mark.parametrize("name", POLLED)
def test_a_question_of_ours_is_sound(kerbstone: Command, name: str) -> None:
    question = next((p[0] for p in pairs(name, bench.cases(name)[0]) if p[0]), "")
    if not question:
        pytest.skip("it talks by itself")
    said = kerbstone("decode", name, question)
    assert said.code == 1
    assert "no values" in said.err
    assert "damaged" not in said.err


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("sdm120", "010300000002c40c"),  # a damaged request, no word of Modbus TCP
        ("sunspec", "010600000002ffff"),
        ("iec62056", "afbf218d0a"),  # wrong parity
        ("iec62056", "063035b08d0a"),
        ("bme280", "dead"),  # nothing says whether that is whole
        ("sgp41", "261973330150752b"),
        ("ads1115", "01f387"),
    ],
)
def test_what_may_be_damaged_is_not_called_sound(kerbstone: Command, name: str, frame: str) -> None:
    said = kerbstone("decode", name, frame)
    assert (said.code, said.out) == (1, "")
    assert "is intact" not in said.err


def test_a_conversation_tells_which_frame_is_sound(kerbstone: Command) -> None:
    said = kerbstone("decode", "mbus", "1040014116", "e5", "107b017c16", "6838386808")
    assert said.code == 1
    assert "damaged frame (crc)" in said.err
    assert "frame 3 is intact: a request for data" in said.err
    assert "frame 4" not in said.err


def test_several_meters_behind_a_p1_port_are_named(kerbstone: Command) -> None:
    meter = Dsmr({"energy_import": 1.0, "gas_volume": 2.0, "gas_volume_2": 3.0})
    said = kerbstone("decode", "dsmr", meter.speak().hex())
    assert rows(said.out)["gas_volume"]["quality"] == "bad:contradicted"
    assert 'write gas = ["S00300000000", "S00300000001"]' in said.err


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
    reported = vector("sen55-read")
    said = kerbstone("decode", "sen55", "03c4", reported["raw_hex"], "--json")
    assert said.code == 0, said.err
    found = {point: row["value"] for point, row in rows(said.out).items()}
    assert found == pytest.approx(by_name(reported["decoded"]))


@pytest.mark.parametrize(
    ("code", "reason"), [(1, "fault"), (3, "fault"), (4, "fault"), (6, "busy")]
)
def test_a_refusal_is_a_quality_with_its_reason(kerbstone: Command, code: int, reason: str) -> None:
    asked, refused = vector("eastron-sdm630-v2-req-0000"), vector(f"modbus-exception-{code}")
    said = kerbstone("decode", "sdm630", asked["raw_hex"], refused["raw_hex"])
    assert said.code in (0, 1)
    assert {row["quality"] for row in rows(said.out).values()} == {f"bad:{reason}"}
    assert {row["value"] for row in rows(said.out).values()} == {None}
