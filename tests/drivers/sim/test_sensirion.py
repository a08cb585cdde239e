"""The simulated Sensirion modules are as strict as the real ones."""

import pytest

from drivers.sim._sensirion import flip_bit, with_checksums
from drivers.sim.i2c import I2cChip, Nack
from drivers.sim.sen55 import Sen55
from drivers.sim.sps30 import Sps30
from tests.kit.air import Now

READY, VALUES, STATUS = b"\x02\x02", b"\x03\xc4", b"\xd2\x06"
NEWS, NO_NEWS = with_checksums(b"\0\1"), with_checksums(b"\0\0")


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def module(now: Now) -> Sen55:
    made = Sen55(lambda at: {"pm2_5": at - 1000}, clock=now, powered_s=100)
    chip: I2cChip = made
    assert chip
    return made


def ask(module: I2cChip, now: Now, command: bytes, count: int = 24, wait_s: float = 0.02) -> bytes:
    module.write(command)
    now.s += wait_s
    return module.read(count)


def start(module: I2cChip, now: Now) -> None:
    module.write(b"\x00\x21")
    now.s += 0.05


def test_idle_it_refuses_to_be_read(module: Sen55, now: Now) -> None:
    for command in (READY, VALUES):
        with pytest.raises(Nack):
            module.write(command)
    with pytest.raises(Nack):
        module.read(3)
    assert ask(module, now, STATUS, 6) == with_checksums(bytes(4))  # this it answers always


def test_a_read_too_early_is_not_acknowledged(module: Sen55, now: Now) -> None:
    module.write(b"\x00\x21")
    now.s += 0.03
    with pytest.raises(Nack):
        module.write(READY)
    now.s += 0.03
    module.write(READY)
    now.s += 0.01
    with pytest.raises(Nack):
        module.read(3)
    now.s += 0.011
    assert module.read(3) == NO_NEWS


def test_an_answer_is_given_once(module: Sen55, now: Now) -> None:
    start(module, now)
    assert ask(module, now, READY, 3) == NO_NEWS
    with pytest.raises(Nack):
        module.read(3)


def test_a_sample_comes_each_second_and_reading_it_clears_the_flag(module: Sen55, now: Now) -> None:
    start(module, now)
    unknown = with_checksums(b"\xff\xff" * 4 + b"\x7f\xff" * 4)
    assert ask(module, now, VALUES) == unknown
    now.s = 1001.01
    assert ask(module, now, READY, 3) == NEWS
    assert ask(module, now, READY, 3) == NEWS  # asking does not clear it
    first = ask(module, now, VALUES)
    assert first[3:5] == (10).to_bytes(2)  # of the moment of the sample: 1.0 after 1000
    assert ask(module, now, READY, 3) == NO_NEWS
    assert ask(module, now, VALUES) == first
    now.s = 1002.01
    assert ask(module, now, VALUES)[3:5] == (20).to_bytes(2)


def test_a_second_start_and_a_second_stop_are_refused(module: Sen55, now: Now) -> None:
    start(module, now)
    with pytest.raises(Nack):
        module.write(b"\x00\x21")
    module.write(b"\x01\x04")
    now.s += 0.159
    with pytest.raises(Nack):  # stopping takes 160 ms
        module.write(b"\x00\x21")
    now.s += 0.002
    with pytest.raises(Nack):
        module.write(b"\x01\x04")
    start(module, now)
    assert module.measuring


def test_an_argument_needs_its_checksum(now: Now) -> None:
    module = Sps30({}, clock=now, powered_s=1)
    for wrong in (b"\x00\x10", b"\x00\x10\x03\x00", b"\x00\x10\x03\x00\xad", b"\x00"):
        with pytest.raises(Nack):
            module.write(wrong)
    module.write(b"\x00\x10\x03\x00\xac")
    assert module.measuring


def test_it_boots_and_forgets_everything_with_the_supply(module: Sen55, now: Now) -> None:
    start(module, now)
    module.power(False)
    with pytest.raises(Nack):
        module.write(b"")
    module.power(True)
    with pytest.raises(Nack):
        module.write(b"")
    now.s += 0.11
    module.write(b"")  # a scan finds it
    assert not module.measuring
    start(module, now)
    now.s += 5
    assert ask(module, now, VALUES)[21:23] == b"\x7f\xff"  # its NOx index is unknown again


def test_faults(module: Sen55, now: Now) -> None:
    start(module, now)
    module.nacks = 2
    for _ in range(2):
        with pytest.raises(Nack):
            module.write(READY)
    module.damage = flip_bit(0)
    assert ask(module, now, READY, 3)[0] == 0x80
    module.damage = None
    module.bias["pm2_5"] = 100.0
    now.s = 1002.01
    assert ask(module, now, VALUES)[3:5] == (1020).to_bytes(2)
    module.stuck.add("pm2_5")
    seen = set()
    for second in (1003, 1004, 1005):
        now.s = second + 0.01
        seen.add(ask(module, now, VALUES)[3:5])
    assert seen == {(1030).to_bytes(2)}
    module.stuck.clear()
    now.s = 1006.01
    assert ask(module, now, VALUES)[3:5] == (1060).to_bytes(2)


def test_the_fans_error_stays_until_it_is_cleared(module: Sen55, now: Now) -> None:
    start(module, now)
    module.errors |= {4, 5}
    now.s += 1.1
    assert ask(module, now, STATUS, 6) == with_checksums(b"\0\0\0\x30")
    module.errors.clear()
    assert ask(module, now, STATUS, 6) == with_checksums(b"\0\0\0\x10")
    module.write(b"\xd2\x10")
    now.s += 0.02
    assert ask(module, now, STATUS, 6) == with_checksums(b"\0\0\0\0")


def test_what_exceeds_the_wire_is_clamped_and_not_taken_for_unknown(now: Now) -> None:
    module = Sen55({"pm10": 1e9, "temperature": -1e9, "nox_index": 1e9}, clock=now, powered_s=99)
    start(module, now)
    now.s += 1
    answer = ask(module, now, VALUES)
    assert answer[9:11] == b"\xff\xfe"
    assert answer[15:17] == (-0x7FFF).to_bytes(2, signed=True)
    assert answer[21:23] == b"\x7f\xfe"
