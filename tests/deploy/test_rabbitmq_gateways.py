"""Which gateways a RabbitMQ cluster is told of. The cluster itself: tests/cluster."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.broker.rabbitmq import gateways
from edge.core import ConfigError
from edge.platform.sitecheck import approved_gateways
from edge.provision.gatewaystore import GatewayStore
from edge.provision.registry import ClaimRequest, ClaimState

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def test_a_dangerous_name_is_never_sent_to_the_cluster() -> None:
    def ctl(*words: str) -> str:
        raise AssertionError(words)

    for name in ("gw/+", "gw-000.", ".*", "platform", "a b", ""):
        with pytest.raises(ConfigError, match="not a gateway name"):
            gateways.sync({name: ()}, ctl)


def test_who_is_approved_stands_in_the_store_of_the_enrolment_server(tmp_path: Path) -> None:
    store = GatewayStore(tmp_path / "store.db")
    for number in range(4):
        name = f"gw-000{number}"
        asked = ClaimRequest(
            f"claim{number}", b"d", "mitte", f"role{number}", name, b"k%d" % number, b"csr",
            ClaimState.PENDING, NOW, "192.0.2.1",
        )  # fmt: skip
        store.add_request(asked)
        if number:
            store.approve(asked.claim, NOW)
    store.refuse("claim2", NOW, "keyCompromise")
    mitte = frozenset({"mitte"})
    assert approved_gateways(tmp_path) == {"gw-0001": mitte, "gw-0003": mitte}
    store.close()
    with pytest.raises(ConfigError, match="is this the folder of the enrolment server"):
        approved_gateways(tmp_path / "elsewhere")
