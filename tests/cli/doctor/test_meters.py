"""`kerbstone doctor` at ports and meters: another address, another rate, nobody at all."""

import json
import termios

import pytest

from drivers.buses.modbus.frame import append_crc
from drivers.sim.meter import UnitFault
from drivers.sim.meter_rtu import MeterRtu
from drivers.sim.meter_server import MeterServer
from drivers.sim.meter_tcp import MeterTcp
from drivers.sim.mhz19 import Mhz19
from edge.diagnose import probe
from tests.cli.doctor.cabinet import METERS, QUICK, VALUES, Site, reported, unhurried
from tests.kit.command import Command
from tests.kit.serialport import FarEnd


def test_a_meter_with_another_address_is_found_beside_its_neighbour(
    kerbstone: Command, wired: Site, meters: MeterRtu
) -> None:
    meters.units = {1: MeterServer("sdm120", VALUES), 7: MeterServer("sdm120", VALUES)}
    said = kerbstone(
        "doctor", "--check", "wires", "--config", wired(QUICK, words=(meters.port,)), "--json"
    )
    assert said.code == 1
    assert json.loads(said.out)["fine"] == ["main"]
    assert "no device answers as unit 12, but one answers as unit 7" in reported(said, "shop")
    assert reported(said, "main") == ""


def test_a_meter_with_another_address_is_found_when_it_is_alone(
    kerbstone: Command, wired: Site, meters: MeterRtu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "factory_lines", lambda: ())  # a pseudo-terminal has no speed
    meters.units = {7: MeterServer("sdm120", VALUES)}
    alone = QUICK.partition("[device.shop]")[0]
    file = wired(alone, words=(meters.port,))
    said = kerbstone("doctor", "--check", "wires", "--config", file, "--json")
    assert said.code == 1
    assert "no device answers as unit 1, but one answers as unit 7" in reported(said, "main")
    assert "set unit = 7" in reported(said, "main")
    meters.units = {}
    said = kerbstone("doctor", "--check", "wires", "--config", wired(QUICK, words=(meters.port,)))
    assert said.code == 1
    assert (
        "none of its devices answers as configured: main, shop\n         check that A and"
        in said.out
    )
    assert said.out.count("no device on this line has answered so far") == 2
    assert "fine" not in said.out


def test_a_silent_meter_beside_one_that_answers_is_no_fault_of_the_line(
    kerbstone: Command, wired: Site, meters: MeterRtu
) -> None:
    meters.units[12].fault = UnitFault("silent")
    file = wired(QUICK, words=(meters.port,))
    said = kerbstone("doctor", "--check", "wires", "--config", file, "--json")
    assert said.code == 1
    assert "fault: unit 12: no answer within" in reported(said, "shop")
    assert "unit 1 on this line can be heard" in reported(said, "shop")
    assert reported(said, "main") + reported(said, "") == ""
    assert kerbstone("doctor", "main", "--config", file).code == 0  # the other was not asked about


def test_a_meter_at_another_rate_is_found_by_asking(
    kerbstone: Command, wired: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "factory_lines", lambda: ("1200 8N1", "9600 8N1", "2400 8N1"))
    far = FarEnd()

    def reply(asked: bytes) -> bytes:
        if termios.tcgetattr(far.slave)[4] != termios.B2400:
            return b""  # it does not understand another speed, and keeps silent
        count = int.from_bytes(asked[4:6])
        return append_crc(bytes((asked[0], asked[1], 2 * count)) + bytes(2 * count))

    far.answer(reply)
    unhurried(monkeypatch, far)
    said = kerbstone(
        "doctor", "--check", "wires", "--config", wired(QUICK, words=(far.path,)), "--json"
    )
    far.close()
    assert said.code == 1
    assert "the device speaks 2400 8N1, and the configuration says 9600 8N1" in reported(said, "")
    assert "until the fault of bus meters is cleared" in reported(said, "main")


def test_a_talker_at_another_rate_is_found_by_listening(
    kerbstone: Command, wired: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.chips._plantower.SILENT_S", 0.1)
    frame = bytes.fromhex("424d001c" + "0001" * 12 + "0000")
    frame += sum(frame).to_bytes(2)
    far = FarEnd()

    def speak() -> bytes:
        right = termios.tcgetattr(far.slave)[4] == termios.B9600
        return frame if right else bytes.fromhex("f07e80f8")

    far.keep_saying(speak, 0.005)
    dust = '[bus.dust]\nkind = "serial"\nport = "{1}"\nbaud = 2400\n'
    dust += '[device.pm]\ndriver = "pms5003"\nbus = "dust"\n'
    said = kerbstone(
        "doctor", "--check", "wires", "--config", wired(dust, words=(far.path,)), "--json"
    )
    assert far.heard() == b""  # it was only listened to
    far.close()
    assert said.code == 1
    assert "the device speaks 9600 8N1, and the configuration says 2400 8N1" in reported(said, "")


def test_a_device_that_waits_to_be_asked_is_asked_at_its_factory_rate(
    kerbstone: Command, wired: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.chips.mhz19.ANSWER_S", 0.1)
    far, sensor = FarEnd(), Mhz19({"co2": 612.0}, powered_s=600.0)

    def reply(asked: bytes) -> bytes:
        right = termios.tcgetattr(far.slave)[4] == termios.B9600
        return b"".join(said for _, said in sensor.hear(asked)[1]) if right else b""

    far.answer(reply, 0.02)
    hall = '[bus.hall]\nkind = "serial"\nport = "{1}"\nbaud = 4800\n'
    hall += '[device.co2]\ndriver = "mhz19"\nbus = "hall"\n'
    said = kerbstone(
        "doctor", "--check", "wires", "--config", wired(hall, words=(far.path,)), "--json"
    )
    far.close()
    assert said.code == 1
    assert "the device speaks 9600 8N1, and the configuration says 4800 8N1" in reported(said, "")
    assert "until the fault of bus hall is cleared" in reported(said, "co2")


def test_a_port_that_is_not_there(kerbstone: Command, wired: Site) -> None:
    said = kerbstone(
        "doctor", "--check", "wires", "--config", wired(METERS, words=("/dev/ttyNOTHERE",))
    )
    assert said.code == 1
    assert "/dev/ttyNOTHERE is not there\n         plug the adapter in" in said.out
    assert "not checked: first clear the fault of bus meters" in said.out


def test_a_converter_that_is_off_and_a_unit_behind_one_that_is_on(
    kerbstone: Command, wired: Site
) -> None:
    tcp = '[bus.net]\nkind = "modbus-tcp"\nhost = "127.0.0.1"\nport = {1}\ntimeout_s = 0.1\n'
    tcp += '[device.shop]\ndriver = "sdm120"\nbus = "net"\nunit = 12\n'
    server = MeterTcp({3: MeterServer("sdm120", VALUES)}).start()
    said = kerbstone(
        "doctor", "--check", "wires", "--config", wired(tcp, words=(server.port,)), "--json"
    )
    server.stop()
    assert "no device answers as unit 12, but one answers as unit 3" in reported(said, "shop")
    assert said.code == 1
    off = kerbstone("doctor", "--check", "wires", "--config", wired(tcp, words=(1,)), "--json")
    assert off.code == 1
    assert "cannot be reached" in reported(off, "")


def test_a_meter_that_refuses_is_another_kind_and_so_it_is_said(
    kerbstone: Command, wired: Site, meters: MeterRtu
) -> None:
    meters.units[12].fault = UnitFault("exception", code=2)
    said = kerbstone("doctor", "shop", "--config", wired(QUICK, words=(meters.port,)), "--json")
    assert said.code == 1
    assert "unit 12 refuses: " in reported(said, "shop")
    assert "(exception 2)" in reported(said, "shop")
