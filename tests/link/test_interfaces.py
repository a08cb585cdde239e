"""What is read of /sys/class/net, and that this machine's has the same form."""

from pathlib import Path

import pytest

from edge.link.budget import NET, Counter, matching_interfaces, read_carrier, read_counters
from tests.link.net import Net


@pytest.fixture
def net(tmp_path: Path) -> Net:
    return Net(tmp_path / "net")


def test_bytes_of_both_ways_of_the_interfaces_that_are_meant(net: Net) -> None:
    net.interface("wwan0", rx=70, tx=30, index=5)
    net.interface("eth0", rx=1, tx=1)
    assert read_counters(("wwan*",), net.folder) == {"wwan0": Counter(5, 100)}


def test_an_interface_that_goes_away_meanwhile_is_left_out(net: Net) -> None:
    net.interface("wwan0")
    (net.folder / "wwan0/ifindex").unlink()
    assert read_counters(("wwan*",), net.folder) == {}


def test_no_carrier_is_said_by_the_kernel_and_not_guessed(net: Net) -> None:
    assert read_carrier(("eth*",), net.folder) is None
    net.interface("eth0", carrier="")
    assert read_carrier(("eth*",), net.folder) is None
    net.interface("eth0", carrier="0")
    assert read_carrier(("eth*",), net.folder) is False
    net.interface("eth1", carrier="1")
    assert read_carrier(("eth*",), net.folder) is True


def test_the_kernel_here_says_it_in_the_same_form() -> None:
    if not matching_interfaces(("lo",), NET):
        pytest.skip("there is no loopback interface here")
    assert read_counters(("lo",))["lo"].value >= 0
    assert read_carrier(("lo",)) in (True, None)
