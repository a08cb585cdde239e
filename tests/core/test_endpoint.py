"""Where a broker is: one reader for the configuration, the uplink and the tools."""

import pytest

from edge.core import Endpoint, endpoint


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("mqtt://h", Endpoint("h", 1883, tls=False)),
        ("mqtts://h/", Endpoint("h", 8883, tls=True)),
        ("mqtts://[::1]:99", Endpoint("::1", 99, tls=True)),
        ("mqtt://10.0.0.1:65535", Endpoint("10.0.0.1", 65535, tls=False)),
    ],
)
def test_host_port_and_tls(url: str, found: Endpoint) -> None:
    assert endpoint(url) == found
    assert found.local == (found.host == "::1")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "no scheme"),
        ("host:1883", "mqtts://host:1883"),
        ("MQTT://h", "not known"),
        ("ws://h", "not known"),
        ("mqtt://", "missing"),
        ("mqtt://h:0", "0 is no port"),
        ("mqtt://h:65536", "from 1 to 65535"),
        ("mqtt://h:x", "from 1 to 65535"),
        ("mqtt://[::1", "cannot be read"),
        ("mqtt://u@h", "password_file"),
        ("mqtt://h/t", "after the port"),
        ("mqtt://h?q", "after the port"),
        ("mqtt://a b", "cannot be right"),
        (f"mqtt://{'x' * 254}", "cannot be right"),
    ],
)
def test_what_is_no_broker_is_said(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        endpoint(url)
