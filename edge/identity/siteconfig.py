"""The configuration that comes with an identity: signed by the operator, for this box only."""

import base64
import binascii
import tomllib

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.core import ConfigError
from edge.identity import store
from edge.identity.bundle import Home
from edge.identity.store import Store


class SignedConfigError(ConfigError):
    """This is no configuration for us."""


class Signed(msgspec.Struct, frozen=True):
    """The answer to GET config. The signature covers `config`, which names site and gateway."""

    gateway: str
    config: str
    signature: str
    v: int = 1


def verified(data: bytes, home: Home) -> bytes:
    """The site file in it. Raises SignedConfigError."""
    try:
        found = msgspec.json.decode(data, type=Signed)
        signature = base64.b64decode(found.signature, validate=True)
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(home.operator, validate=True))
    except (msgspec.MsgspecError, UnicodeDecodeError, binascii.Error, ValueError) as error:
        raise SignedConfigError("the configuration has another form than agreed") from error
    body = found.config.encode()
    try:
        key.verify(signature, body)
    except InvalidSignature:
        raise SignedConfigError("the configuration is not signed by the claim's operator") from None
    # the signature does not cover the names beside it: those inside count
    try:
        table = tomllib.loads(found.config).get("site")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SignedConfigError(f"the configuration is no TOML: {error}") from error
    named = table if isinstance(table, dict) else {}
    if found.v != 1 or (named.get("gateway"), named.get("id")) != (home.gateway, home.site):
        raise SignedConfigError(f"the configuration is not for {home.gateway} at {home.site}")
    return body


def keep(folder: Store, data: bytes, home: Home) -> None:
    """First as it came, so that it can be verified again; then as the daemon reads it."""
    site = verified(data, home)
    if folder.get(store.CONFIG) != data:
        folder.put(store.CONFIG, data)
    if folder.get(store.SITE) != site:
        folder.put(store.SITE, site)


def kept(folder: Store, home: Home) -> bool:
    """Whether a good one is here; what the daemon reads is made from it again if need be."""
    try:
        data = folder.get(store.CONFIG)
        if data is None:
            return False
        keep(folder, data, home)
    except (OSError, SignedConfigError):
        return False
    return True
