"""A bench: its file with all errors at once, its wiring page, and a self-test that finds crossed,
cut and touching wires.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.buses.gpiolines import DrivenLine, ReadLine
from drivers.sim.gpio import SimChip
from edge.cli.main import main
from edge.config import Problems
from edge.rig.benchfile import load_bench
from edge.rig.benchselftest import self_test
from edge.rig.benchwiring import wiring_html, wiring_rows, wiring_text
from tests.kit.serialport import PtyPair
from tests.rig.benches import Wires, bench_text
from tests.rig.scenes import write_site

LISTEN = "mqtt://192.168.7.1:1883"
NAMES = ("OUT0", "OUT1", "BACK0", "BACK1", "RELAY")
OTHERS = """
[[output]]
contact = "north_2"
chip = "/dev/gpiochip9"
line = "6"
circuit = "direct"
[[serial]]
bus = "meters"
port = "/dev/ttyUSB3"
[power]
chip = "/dev/gpiochip9"
line = "7"
"""


@pytest.fixture
def chip(tmp_path: Path) -> Iterator[SimChip]:
    with SimChip(NAMES, tmp_path / "gpio.sock") as made:
        yield made


def bench_file(folder: Path, text: str) -> Path:
    write_site(folder)
    file = folder / "bench.toml"
    file.write_text(text)
    return file


def test_the_wiring_page_has_each_wire_and_what_it_shows(tmp_path: Path) -> None:
    file = bench_file(tmp_path, bench_text(tmp_path / "gpio.sock", LISTEN, OTHERS))
    bench, site = load_bench(file)
    rows = [row.cells for row in wiring_rows(bench, site)]
    assert [row[0] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [row[1] for row in rows] == [
        "north_1.lead", "north_1.trail", "north_2.lead", "bus meters", "supply",
    ]  # fmt: skip
    assert rows[0][5] == "GPIO17 low, part on"
    assert rows[2][5] == "GPIO22 low, part off"
    text = "\n".join(wiring_text(bench, site))
    assert "24 V" in text
    assert "north_2.trail (GPIO23) has no output" in text
    assert "bus air: nothing plays it here" in text
    page = wiring_html(bench, site)
    assert page.count("<tr>") == 1 + len(rows)
    assert "<script" not in page


def test_names_are_texts_on_the_page(tmp_path: Path) -> None:
    text = bench_text(tmp_path / "gpio.sock", LISTEN).replace("Desk 2", "<b>Desk</b>")
    assert "<b>Desk" not in wiring_html(*load_bench(bench_file(tmp_path, text)))


WRONG: list[tuple[Callable[[str], str], str, str]] = [
    (lambda t: t.replace('contact = "north_1"', 'contact = "nord_1"'), "output[0].contact",
     "nord_1"),
    (lambda t: t.replace('"north_1.trail"', '"north_1.lead"'), "output[1].contact", "before this"),
    (lambda t: t.replace('"OUT1"', '"OUT0"'), "output[1].line", "already"),
    (lambda t: t.replace('"BACK1"', '"OUT0"'), "output[1].back_line", "already"),
    (lambda t: t.replace('back_line = "BACK1"', ""), "output[1]", "belong together"),
    (lambda t: t.replace('"optocoupler"', '"wire"', 1), "output[0].circuit", "optocoupler"),
    (lambda t: t.replace(LISTEN, "mqtts://here"), "bench.listen", "no TLS"),
    (lambda t: t.replace(LISTEN, "here"), "bench.listen", "no scheme"),
    (lambda t: t.replace('"site.toml"', '"none.toml"'), "bench.site", "is no file"),
    (lambda t: t.replace('"meters"', '"air"'), "serial[0].bus", "no serial bus"),
    (lambda t: t.replace('"meters"', '"loops"'), "serial[0].bus", "use [[output]]"),
    (lambda t: t + 'off_command = "a"\n', "power", "leave one of them out"),
    (lambda t: t.replace('line = "7"\n', ""), "power", "belong here"),
    (lambda t: t.replace('line = "7"', 'line = "6"'), "power.line", "already"),
    (lambda t: t + "off_s = 0\n", "power.off_s", "0.5"),
    (lambda t: t.replace("[power]", "[pover]"), "pover", "unknown key"),
    (lambda t: "version = 7\n" + t, "version", "version 1"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "key", "says"), WRONG, ids=[key for _, key, _ in WRONG])
def test_what_is_wrong_in_a_bench_file_is_told_with_its_key(
    tmp_path: Path, change: Callable[[str], str], key: str, says: str
) -> None:
    text = bench_text(tmp_path / "gpio.sock", LISTEN, OTHERS)
    load_bench(bench_file(tmp_path, text))
    with pytest.raises(Problems) as caught:
        load_bench(bench_file(tmp_path, change(text)))
    assert [(one.key, says in one.text) for one in caught.value.problems] == [(key, True)]


def test_all_errors_come_at_once(tmp_path: Path) -> None:
    text = bench_text(tmp_path / "gpio.sock", LISTEN, OTHERS)
    for change, key, _ in WRONG[:3]:
        text = change(text) if key != "output[1].contact" else text
    with pytest.raises(Problems) as caught:
        load_bench(bench_file(tmp_path, text))
    assert len(caught.value.problems) == 2
    assert all(one.line for one in caught.value.problems)


def looked_at(file: Path) -> dict[str, tuple[str, str]]:
    return {row.name: (row.verdict, row.text) for row in self_test(load_bench(file)[0])}


def test_right_wires_are_shown_to_be_right(tmp_path: Path, chip: SimChip) -> None:
    file = bench_file(tmp_path, bench_text(tmp_path / "gpio.sock", LISTEN))
    with Wires(chip, chip, {"OUT0": ["BACK0"], "OUT1": ["BACK1"]}, pulls=True):
        found = looked_at(file)
        assert main(["rig", "selftest", str(file)]) == 0
    assert {verdict for verdict, _ in found.values()} == {"ok"}
    assert list(found) == ["north_1.lead", "north_1.trail"]


@pytest.mark.parametrize(
    ("wires", "says"),
    [
        ({}, "read back as off while it is on"),
        ({"OUT0": ["BACK1"], "OUT1": ["BACK0"]}, "crossed?"),
        ({"OUT0": ["BACK0", "BACK1"], "OUT1": ["BACK1"]}, "do the wires touch?"),
    ],
)
def test_wrong_wires_are_found(
    tmp_path: Path, chip: SimChip, wires: dict[str, list[str]], says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file = bench_file(tmp_path, bench_text(tmp_path / "gpio.sock", LISTEN))
    with Wires(chip, chip, wires, pulls=True):
        found = looked_at(file)
        assert main(["rig", "selftest", str(file)]) == 1
    assert found["north_1.lead"][0] == "wrong"
    assert says in found["north_1.lead"][1]
    assert "WRONG" in capsys.readouterr().out
    if "crossed" in says:  # each of both is seen for itself
        assert says in found["north_1.trail"][1]


def test_a_part_that_is_inverted_is_seen_as_it_is(tmp_path: Path, chip: SimChip) -> None:
    """Its relay board switches at a low level: with the wrong word it is always wrong."""
    file = bench_file(tmp_path, bench_text(tmp_path / "gpio.sock", LISTEN).replace(
        'circuit = "optocoupler"', 'circuit = "relay"\ninverted = true'))  # fmt: skip
    with Wires(chip, chip, {"OUT0": ["BACK0"], "OUT1": ["BACK1"]}, pulls=True):
        assert {verdict for verdict, _ in looked_at(file).values()} == {"wrong"}


def test_what_is_not_read_back_is_not_shown(tmp_path: Path, chip: SimChip) -> None:
    text = bench_text(tmp_path / "gpio.sock", LISTEN)
    text = "\n".join(line for line in text.splitlines() if not line.startswith("back_"))
    file = bench_file(tmp_path, text)
    assert {verdict for verdict, _ in looked_at(file).values()} == {"not_evaluated"}
    assert main(["rig", "selftest", str(file)]) == 4


def test_a_line_that_cannot_be_had_is_wrong(tmp_path: Path, chip: SimChip) -> None:
    file = bench_file(tmp_path, bench_text(tmp_path / "gpio.sock", LISTEN))
    with DrivenLine(f"sim:{tmp_path / 'gpio.sock'}", "OUT0"):
        assert "cannot be had" in looked_at(file)["north_1.lead"][1]
    other = bench_file(tmp_path, bench_text(tmp_path / "gpio.sock", LISTEN).replace("OUT1", "NO"))
    assert "no line NO" in looked_at(other)["north_1.trail"][1]


def serial_bench(folder: Path, port: str, heard_by: str) -> Path:
    text = f'[bench]\nname = "x"\nsite = "site.toml"\nlisten = "{LISTEN}"\n[[serial]]\n'
    text += f'bus = "meters"\nport = "{port}"\nheard_by = "{heard_by}"\n'
    return bench_file(folder, text)


def test_a_port_is_heard_by_another_one_on_the_same_wires(tmp_path: Path) -> None:
    pair: Any = PtyPair()
    try:
        file = serial_bench(tmp_path, pair.a, pair.b)
        assert looked_at(file) == {
            "bus meters": ("ok", "256 bytes went out, and came back as they were")
        }
    finally:
        pair.close()


def test_a_port_that_nobody_hears_and_one_that_is_not_there(tmp_path: Path) -> None:
    one, other = PtyPair(), PtyPair()
    try:
        (verdict, text) = looked_at(serial_bench(tmp_path, one.a, other.a))["bus meters"]
        assert (verdict, "heard nothing" in text) == ("wrong", True)
        (verdict, text) = looked_at(serial_bench(tmp_path, "/dev/none", "/dev/none"))["bus meters"]
        assert (verdict, "/dev/none" in text) == ("wrong", True)
    finally:
        one.close()
        other.close()


def test_lines_are_driven_and_read_as_they_are_called(tmp_path: Path, chip: SimChip) -> None:
    place = f"sim:{tmp_path / 'gpio.sock'}"
    for inverted in (False, True):
        with DrivenLine(place, "OUT0", inverted=inverted) as line:
            assert chip.level("OUT0") is inverted  # off at once
            line.set(True)
            assert chip.level("OUT0") is not inverted
    with ReadLine(place, "BACK0", "up") as back:
        assert back.is_high()
        chip.drive("BACK0", False, 1)
        assert not back.is_high()
    with pytest.raises(OSError, match="both ways"):
        DrivenLine(place, "OUT0", "open_drain")


def test_a_site_without_a_word_of_a_bench_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = bench_file(tmp_path, "")
    assert main(["rig", "wiring", str(file)]) == 2
    assert "is missing" in capsys.readouterr().err
