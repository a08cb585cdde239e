"""`kerbstone scan` on a real pseudo-terminal: a bar in one row, and Ctrl-C that ends it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.sim.meter import MeterLine, MeterLoad, MeterServer
from drivers.sim.meter_line import WHOLE_S
from drivers.sim.sen55 import Sen55
from tests.kit.gateway import KERBSTONE, ROOT
from tests.kit.ptyscreen import PtyScreen
from tests.kit.street import LoopStreet

HELD = {
    "pm1_0": 5.2, "pm2_5": 9.5, "pm4_0": 12.6, "pm10": 13.3, "humidity": 45.5,
    "temperature": 23.5, "voc_index": 100.0, "nox_index": 1.0,
}  # fmt: skip


@pytest.fixture
def meter() -> Iterator[MeterLine]:
    load = MeterLoad()
    load.reset(kwh=5230.0)
    one = MeterLine({1: MeterServer("sdm630", load.values)}, baud=9600, step_s=WHOLE_S).start()
    yield one
    one.stop()


def scan(folder: Path, *words: str, **environ: str) -> PtyScreen:
    command = [*KERBSTONE, "scan", *words, "--config", str(folder / "none.toml")]
    return PtyScreen(command, cwd=ROOT, lines=60, environ=environ)


def test_what_is_found_fits_a_terminal_of_80_columns(tmp_path: Path) -> None:
    with LoopStreet(tmp_path, Sen55(HELD, powered_s=86_400)):
        with scan(tmp_path, f"sim:{tmp_path}/i2c.sock") as screen:
            assert screen.end() == 0
        assert 'driver = "sen55"' in screen.text
        assert "[device.sen55]" in screen.rows
        assert all(len(row) <= 80 for row in screen.rows)


def test_the_bar_stays_in_one_row_and_is_gone_at_the_end(meter: MeterLine, tmp_path: Path) -> None:
    with scan(tmp_path, meter.path, "--baud", "9600", "--units", "1-3") as screen:
        screen.wait("%")
        assert sum("%" in row for row in screen.rows) == 1, screen.text
        assert screen.end() == 0
        assert 'driver = "sdm630"' in screen.text
        assert not any("%" in row for row in screen.rows), "the bar was cleared"


def test_ctrl_c_ends_it_with_what_was_found(meter: MeterLine, tmp_path: Path) -> None:
    with scan(tmp_path, meter.path, "--units", "1-247") as screen:
        screen.wait("%")
        screen.type("\x03")
        assert screen.end() == 130
        assert "ended early" in screen.text
        assert "Traceback" not in screen.text
