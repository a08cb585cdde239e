"""Names that mean something to a broker are no gateway's, by a claim or from an authority."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from edge.core import ConfigError
from edge.identity.names import is_gateway
from edge.provision import authority
from tests.kit.enrolment import EnrolmentServer

NOW = datetime(2026, 12, 1, tzinfo=UTC)
CITY = ["platform", "platform-2", "platforms"]


@pytest.mark.parametrize("name", CITY)
def test_no_gateway_is_called_as_the_city_is(world: EnrolmentServer, name: str) -> None:
    """The broker's ACL lets `platform` read everybody and write everybody's receipts."""
    assert not is_gateway(name)
    with pytest.raises(ConfigError):
        world.claim(gateway=name)
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(ConfigError, match="not a gateway name"):
        authority.create_authority("CA", NOW).gateway(name, key, NOW)


@pytest.mark.parametrize("site", ["S17", "a.b", "", "x" * 65])
def test_a_claim_is_for_a_site_that_a_site_file_may_have(world: EnrolmentServer, site: str) -> None:
    """Else the box would take no configuration that `kerbstone check` lets through."""
    with pytest.raises(ConfigError):
        world.claim(site=site)
