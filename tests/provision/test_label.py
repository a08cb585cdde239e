"""The label on the case: its text, and the drawing of it, read back module by module."""

import re
import struct
import sys
import zlib
from pathlib import Path

import pytest

from edge.core import ConfigError
from edge.provision import operatordocs
from tests.kit.enrolment import DeviceKey, spki

PAGE = "https://enrol.city.example/"
SPKI = spki(DeviceKey().key.public_key())
TEXT = operatordocs.label_text(PAGE, "gw-17", SPKI)
QUIET = 4  # modules of white around it, as ISO/IEC 18004 asks for
Matrix = list[list[int]]


def test_a_label_says_a_name_and_the_beginning_of_a_key_s_hash() -> None:
    assert re.fullmatch(r"https://enrol\.city\.example/d/gw-17#[0-9a-f]{16}", TEXT)


@pytest.mark.parametrize("name", ["platform", "../x", "gw 17", ""])
def test_who_is_no_gateway_has_no_label(name: str) -> None:
    with pytest.raises(ConfigError, match="not a gateway name"):
        operatordocs.label_text(PAGE, name, SPKI)


def test_without_the_library_nothing_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    assert not operatordocs.draw_qr(TEXT, tmp_path / "label.svg")
    assert list(tmp_path.iterdir()) == []


def expected() -> Matrix:
    """What the library says this text is, with the quiet zone; 1 is dark."""
    segno = pytest.importorskip("segno")
    code = segno.make(TEXT, error="m", micro=False)
    return [[int(bit & 1) for bit in row] for row in code.matrix_iter(border=QUIET)]


def test_the_png_is_the_code_of_this_text(tmp_path: Path) -> None:
    wanted, path = expected(), tmp_path / "label.png"
    assert operatordocs.draw_qr(TEXT, path)
    assert png(path.read_bytes(), 4) == wanted


def test_the_svg_is_the_code_of_this_text(tmp_path: Path) -> None:
    wanted, path = expected(), tmp_path / "label.svg"
    assert operatordocs.draw_qr(TEXT, path)
    assert svg(path.read_text(), len(wanted)) == wanted


def test_the_terminal_shows_the_code_of_this_text(capsys: pytest.CaptureFixture[str]) -> None:
    """For light letters on a dark ground: a full block is a light module."""
    wanted = expected()
    assert operatordocs.draw_qr(TEXT, None)
    lines = capsys.readouterr().out.splitlines()
    halves = {"\N{FULL BLOCK}": (0, 0), "\N{UPPER HALF BLOCK}": (0, 1),
              "\N{LOWER HALF BLOCK}": (1, 0), " ": (1, 1)}  # fmt: skip
    rows = [[halves[each][half] for each in line] for line in lines for half in (0, 1)]
    assert rows[: len(wanted)] == wanted
    assert len(rows) - len(wanted) in (0, 1), "an odd number of rows leaves half a line"


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("segno")
    with pytest.raises(ConfigError, match=r"NAME\.svg or NAME\.png"):
        operatordocs.draw_qr(TEXT, tmp_path / "label.gif")


def png(data: bytes, scale: int) -> Matrix:
    """Greyscale of one bit without filters, as it is written here; else an assertion."""
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        chunks[kind] = chunks.get(kind, b"") + data[at + 8 : at + 8 + length]
        at += 12 + length
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colour) == (1, 0)
    raw, stride = zlib.decompress(chunks[b"IDAT"]), 1 + (width + 7) // 8
    rows = []
    for y in range(0, height, scale):
        line = raw[y * stride : (y + 1) * stride]
        assert line[0] == 0
        rows.append([1 - (line[1 + x // 8] >> (7 - x % 8) & 1) for x in range(0, width, scale)])
    return rows


def svg(text: str, size: int) -> Matrix:
    """One path of horizontal strokes: `M` and `m` move, `h` draws."""
    (path,) = re.findall(r'class="qrline"[^>]* d="([^"]+)"', text)
    rows = [[0] * size for _ in range(size)]
    x = y = 0.0
    for word, first, second in re.findall(r"([Mmh])(-?[\d.]+)(?:[ ,]?(-?[\d.]+))?", path):
        if word == "h":
            for each in range(int(first)):
                rows[int(y)][int(x) + each] = 1
            x += float(first)
        elif word == "M":
            x, y = float(first), float(second)
        else:
            x, y = x + float(first), y + float(second)
    return rows
