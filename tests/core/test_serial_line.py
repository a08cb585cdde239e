"""How a serial line is set, as people write it."""

import pytest

from edge.core.driver import SerialLine


@pytest.mark.parametrize("text", ["9600 8N1", "300 7E1", "115200 8O2"])
def test_what_is_written_is_what_is_meant(text: str) -> None:
    assert str(SerialLine.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not of the form 9600 8N1"),
        ("fast", "is not of the form 9600 8N1"),
        ("9600 8N1 x", "is not of the form 9600 8N1"),
        ("9600 8N", "is not of the form 9600 8N1"),
        ("9600 ²N1", "is not of the form 9600 8N1"),
        ("9600 5N1", "7 or 8 bits"),
        ("9600 9N1", "7 or 8 bits"),
        ("9600 8X1", "parity N, E or O"),
        ("9600 8N3", "1 or 2 stop bits"),
        ("0 8N1", "300, 600,"),
        ("9601 8N1", "300, 600,"),
        ("-9600 8N1", "is not of the form 9600 8N1"),
    ],
)
def test_what_no_port_can_be_set_to_is_said(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SerialLine.parse(text)
