"""Names of gateways, and what people compare of a key."""

import pytest

from edge.identity.names import comparison_code, is_gateway, san, spki_hash


def test_names_of_gateways() -> None:
    assert is_gateway("gw-17")
    assert not is_gateway("gw-17\n")
    assert san("gw-17") == "urn:kerbstone:gw:gw-17"
    with pytest.raises(ValueError, match="not a gateway name"):
        san("gw/17")


def test_the_comparison_code_is_the_beginning_of_the_key_s_hash() -> None:
    assert comparison_code(b"key") == "FRYO-CK32"
    assert spki_hash(b"key").startswith("2c70e12b7a0646f9")
