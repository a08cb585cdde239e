"""The wires: simulated chips and lines on the other side, and what a running gateway tells."""

import errno
from copy import deepcopy
from typing import Any

import pytest

from drivers.sim.gpio import SimChip
from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.sht4x import Sht4x
from edge.diagnose import probe
from edge.diagnose.checks import CheckId
from tests.diagnose.bench import Answers, Bench, clean, fault_of

AIR = """
[bus.hut]
kind = "i2c"
path = "sim:{dir}/i2c"
[device.hut_air]
driver = "sht4x"
bus = "hut"
"""
LOOPS = """
[bus.loops]
kind = "gpio"
chip = "sim:{dir}/gpio"
[lane.north_1]
approach = "north"
bus = "loops"
lead = "lead"
active = "high"
bias = "none"
"""
URL = "mqtt://localhost"


def wired(bench: Bench, check: CheckId, kernel: I2cKernel) -> Answers:
    hurry(bench.monkeypatch)
    with I2cServer(kernel, bench.tmp_path / "i2c"):
        return bench.ask(check, bench.site(URL, AIR))


def hurry(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(probe, "QUIET_S", 0.05)
    patch.setattr(probe, "ANSWER_S", 0.2)


def sensor(**words: Any) -> I2cKernel:
    chip: Any = Sht4x({"temperature": 20.0, "humidity": 40.0}, powered_s=9.0, **words)
    return I2cKernel({0x44: chip})


@fault_of("bus_port")
def a_port_that_is_not_there(bench: Bench) -> Answers:
    return bench.ask("bus_port", bench.site(URL, AIR.replace("sim:{dir}/i2c", "/dev/i2c-77")))


@clean("bus_port")
def a_port_that_is_there(bench: Bench) -> Answers:
    return wired(bench, "bus_port", sensor())


@fault_of("bus_line")
def a_bus_that_is_held_low(bench: Bench) -> Answers:
    kernel = sensor()
    kernel.fault = errno.ETIMEDOUT
    return wired(bench, "bus_line", kernel)


@clean("bus_line")
def a_bus_that_is_free(bench: Bench) -> Answers:
    return wired(bench, "bus_line", sensor())


def lined(bench: Bench, line: str) -> Answers:
    chip = SimChip(("lead",), bench.tmp_path / "gpio")
    chip.start()
    bench.stack.callback(chip.close)
    return bench.ask("gpio_lines", bench.site(URL, LOOPS.replace('"lead"', f'"{line}"')))


@fault_of("gpio_lines")
def a_line_that_the_chip_has_not(bench: Bench) -> Answers:
    return lined(bench, "gone")


@clean("gpio_lines")
def a_line_that_is_free(bench: Bench) -> Answers:
    return lined(bench, "lead")


@fault_of("device_answers")
def nobody_at_this_address(bench: Bench) -> Answers:
    return wired(bench, "device_answers", I2cKernel({}))


@clean("device_answers")
def a_sensor_that_answers(bench: Bench) -> Answers:
    return wired(bench, "device_answers", sensor())


@fault_of("device_values")
def a_sensor_whose_words_are_damaged(bench: Bench) -> Answers:
    """The second word of each answer, which is the humidity."""
    kernel = sensor()
    real = kernel.transfer

    def damaged(messages: Any) -> tuple[int, bytes]:
        code, read = real(messages)
        return code, read[:5] + bytes([read[5] ^ 0x5A]) if len(read) == 6 else read

    bench.monkeypatch.setattr(kernel, "transfer", damaged)
    return wired(bench, "device_values", kernel)


@clean("device_values")
def a_sensor_with_all_its_values(bench: Bench) -> Answers:
    return wired(bench, "device_values", sensor())


# -- as a running gateway tells it -----------------------------------------------------------------


def told(bench: Bench, check: CheckId, **changed: Any) -> Answers:
    """By a real gateway's status, with these words in place of its own."""
    status = deepcopy(bench.gateway.status)
    status["devices"]["hut_air"] |= changed
    return bench.ask(check, bench.gateway.file, status=status)


@fault_of("device_reports")
def a_device_that_reports_a_fault(bench: Bench) -> Answers:
    return told(bench, "device_reports", health={"fan": "the fan does not turn"})


@clean("device_reports")
def a_device_that_reports_nothing(bench: Bench) -> Answers:
    return told(bench, "device_reports")


@fault_of("device_pace")
def a_bus_that_is_too_slow(bench: Bench) -> Answers:
    return told(bench, "device_pace", reads=10, missed=25)


@clean("device_pace")
def a_bus_that_is_fast_enough(bench: Bench) -> Answers:
    return told(bench, "device_pace")
