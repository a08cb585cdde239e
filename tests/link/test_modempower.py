"""A modem's supply is cut and given back, in virtual time, whatever happens between."""

from pathlib import Path

import pytest

from edge.link.modempower import OFF_S, SwitchedPower, UsbPortPower


class RelayLevels:
    def __init__(self) -> None:
        self.levels: list[bool] = []

    def set(self, on: bool) -> None:
        self.levels.append(on)


def test_a_line_is_off_for_its_time_and_on_again() -> None:
    relay, waited = RelayLevels(), list[float]()
    assert "10 s" in SwitchedPower(relay, waited.append).power_cycle()
    assert (relay.levels, waited) == ([False, True], [OFF_S])


def test_an_interrupted_cycle_leaves_the_modem_on() -> None:
    relay = RelayLevels()

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SwitchedPower(relay, interrupted).power_cycle()
    assert relay.levels == [False, True]


def test_a_usb_port_is_deauthorised_and_authorised_again(tmp_path: Path) -> None:
    (tmp_path / "1-1.2").mkdir()
    file = tmp_path / "1-1.2/authorized"
    file.write_text("1")
    between: list[str] = []
    UsbPortPower("1-1.2", lambda _: between.append(file.read_text()), tmp_path).power_cycle()
    assert (between, file.read_text()) == (["0"], "1")


def test_a_port_with_nothing_in_it_is_an_error_and_makes_no_file(tmp_path: Path) -> None:
    (tmp_path / "1-1.2").mkdir()
    with pytest.raises(FileNotFoundError):
        UsbPortPower("1-1.2", lambda _: None, tmp_path).power_cycle()
    assert not list((tmp_path / "1-1.2").iterdir())


@pytest.mark.parametrize("port", ["", "1", "../1-1", "1-1/..", "usb1", "1-1\n", "1-1.2.3.4.5.6.7"])
def test_what_is_no_port_is_refused(port: str) -> None:
    with pytest.raises(ValueError, match="is no USB port"):
        UsbPortPower(port, lambda _: None)
