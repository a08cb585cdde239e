"""What an operator signs at a desk: the number of a configuration."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.core import ConfigError
from edge.identity import siteconfig
from edge.provision import operatordocs

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
SITE = '[site]\nid = "s17"\ngateway = "gw-17"\n'


class ConfigSigner:
    def __init__(self, folder: Path) -> None:
        self.key, self.out = Ed25519PrivateKey.generate(), folder / "configs"
        self.site = folder / "site.toml"
        self.site.write_text(SITE)

    def sign(self, now: datetime = NOW, after: int = 0) -> int:
        path, serial = operatordocs.sign_config(self.site, "gw-17", self.key, self.out, now, after)
        assert siteconfig.parse_signed_config(path.read_bytes()).serial == serial
        return serial


@pytest.fixture
def desk(tmp_path: Path) -> ConfigSigner:
    return ConfigSigner(tmp_path)


def test_the_number_is_the_time_and_grows_whatever_the_clock_says(desk: ConfigSigner) -> None:
    first = desk.sign()
    assert first == int(NOW.timestamp())
    assert desk.sign() == first + 1
    assert desk.sign(datetime(1970, 1, 2, tzinfo=UTC)) == first + 2
    assert desk.sign(datetime(2099, 1, 1, tzinfo=UTC)) == 4070908800
    assert desk.sign() == 4070908801


def test_where_the_former_one_is_lost_the_boxs_number_is_counted_on_from(
    desk: ConfigSigner,
) -> None:
    assert desk.sign(after=4070908800) == 4070908801


def test_a_number_that_nobody_signed_does_not_count(desk: ConfigSigner) -> None:
    """Else who can write there uses up all numbers, and the box takes no configuration again."""
    desk.sign()
    stranger = Ed25519PrivateKey.generate()
    high = siteconfig.sign_site_config(SITE, "gw-17", siteconfig.SERIAL_MAX - 1, stranger)
    path = desk.out / "gw-17.json"
    path.write_bytes(high)
    with pytest.raises(ConfigError, match="not signed with this key"):
        desk.sign()
    assert path.read_bytes() == high
    path.write_bytes(b"{")
    with pytest.raises(ConfigError, match="remove this file"):
        desk.sign()


def test_a_number_that_no_box_would_read_is_not_signed(desk: ConfigSigner) -> None:
    with pytest.raises(ConfigError, match="at most"):
        desk.sign(after=siteconfig.SERIAL_MAX)
    assert not (desk.out / "gw-17.json").exists()
