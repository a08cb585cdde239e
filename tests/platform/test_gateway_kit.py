"""The gateway of the tests of a platform: what they rely on without looking."""

from types import SimpleNamespace
from urllib.parse import urlsplit

from tests.kit.platform import gateway
from tests.kit.rawbroker import raw_broker

CONNECT, SUBSCRIBE = 0x10, 0x82


async def test_a_gateway_has_subscribed_when_it_is_given() -> None:
    """A SUBACK that comes beside a later PUBACK could hold up its end for ever; a receipt that
    comes before it would be lost."""
    async with raw_broker() as broker:
        port = urlsplit(broker.url).port
        assert port is not None
        async with gateway(SimpleNamespace(port=port)):
            assert broker.kinds == [CONNECT, SUBSCRIBE]
