"""The simulated SCD41, SEN66, SGP41 and SHT4x are as strict as the real ones."""

import pytest

from drivers.sim._sensirion import with_checksums
from drivers.sim.i2c import Nack
from drivers.sim.scd41 import Scd41
from drivers.sim.sen66 import Sen66
from drivers.sim.sgp41 import Sgp41
from drivers.sim.sht4x import Sht4x
from tests.kit.air import Now


@pytest.fixture
def now() -> Now:
    return Now()


def test_a_measuring_scd41_answers_nothing_but_news_values_and_stop(now: Now) -> None:
    chip = Scd41({"co2": 500.0}, clock=now, powered_s=9)
    chip.write(b"\x21\xb1")
    now.s += 0.01
    for refused in (b"\x36\x82", b"\x24\x27\x00\x00\x81", b"\x21\xb1", b"\x36\x39"):
        with pytest.raises(Nack):
            chip.write(refused)
    with pytest.raises(Nack):  # nothing measured yet
        chip.write(b"\xec\x05")
    now.s += 5
    chip.write(b"\xec\x05")
    now.s += 0.002
    assert chip.read(9)[:3] == with_checksums((500).to_bytes(2))
    with pytest.raises(Nack):  # once only
        chip.write(b"\xec\x05")
    chip.write(b"\x3f\x86")
    now.s += 0.49
    with pytest.raises(Nack):  # half a second to stop
        chip.write(b"\x36\x82")
    now.s += 0.02
    chip.write(b"\x36\x82")
    now.s += 0.002
    assert chip.read(9) == bytes.fromhex("f896319f07c23bbe89")


def test_an_sgp41_that_is_conditioned_for_more_than_ten_seconds_is_damaged(now: Now) -> None:
    for seconds, damaged in ((10, False), (11, True)):
        chip = Sgp41({}, clock=now, powered_s=9)
        for _ in range(seconds):
            chip.write(bytes.fromhex("26128000a2666693"))
            now.s += 1
        chip.write(bytes.fromhex("26198000a2666693"))
        now.s += 0.06
        assert chip.damaged is damaged
        assert (chip.read(6)[3:5] == b"\xff\xff") is damaged


def test_an_sgp41_wants_the_air_it_corrects_for_and_rests_when_told(now: Now) -> None:
    chip = Sgp41({}, clock=now, powered_s=9)
    for wrong in (b"\x26\x19", bytes.fromhex("26198000a2"), bytes.fromhex("26198000a3666693")):
        with pytest.raises(Nack):
            chip.write(wrong)
    chip.write(bytes.fromhex("261973330150756b"))
    assert chip.compensation == pytest.approx((45, 10), abs=0.01)
    with pytest.raises(Nack):  # 50 ms
        chip.read(6)
    now.s += 0.06
    assert len(chip.read(6)) == 6
    assert chip.hot
    chip.write(b"\x36\x15")
    assert not chip.hot


def test_a_sen66_cleans_itself_idle_only_and_starts_nothing_meanwhile(now: Now) -> None:
    chip = Sen66({}, clock=now, powered_s=9)
    chip.write(b"\x56\x07")
    now.s += 0.1
    with pytest.raises(Nack):
        chip.write(b"\x00\x21")
    now.s += 10
    chip.write(b"\x00\x21")
    now.s += 0.1
    for refused in (b"\x56\x07", bytes.fromhex("673605dc8f"), b"\x00\x21"):
        with pytest.raises(Nack):
            chip.write(refused)


@pytest.mark.parametrize(("command", "ms"), [(0xFD, 10), (0xF6, 5), (0xE0, 2)])
def test_an_sht4x_does_not_answer_before_it_has_measured(now: Now, command: int, ms: int) -> None:
    chip = Sht4x({"temperature": 25.0, "humidity": 50.0}, clock=now, powered_s=1)
    chip.write(bytes([command]))
    now.s += (ms - 0.5) / 1000
    with pytest.raises(Nack):
        chip.read(6)
    now.s += 0.001
    assert chip.read(6)[:3] == bytes.fromhex("666693")
    for wrong in (b"\x00", b"\xfd\x00", b"\x39"):
        with pytest.raises(Nack):
            chip.write(wrong)


@pytest.mark.parametrize("made", [Scd41, Sen66, Sgp41, Sht4x])
def test_every_fault_has_a_name_and_others_are_refused(
    now: Now, made: type[Scd41 | Sen66 | Sgp41 | Sht4x]
) -> None:
    for fault in made.FAULTS:
        made({"co2": 400.0}, clock=now, fault=fault)
    with pytest.raises(ValueError, match="silent"):
        made({}, clock=now, fault="tired")
