"""The configuration that comes with an identity: signed by the operator, for this box only.

Its number, which the signature covers, only grows: who holds the server, but not the operator's
key, cannot give a box that has one a configuration back that was replaced.
"""

import base64
from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from edge.core import ConfigError
from edge.core.tomltext import TomlError, parse_toml
from edge.identity import statefolder
from edge.identity.identitybundle import EnrolmentTarget
from edge.identity.statefolder import StateFolder

SERIAL_MAX: Final = 2**53 - 1  # what every JSON reader keeps
Serial = Annotated[int, msgspec.Meta(ge=1, le=SERIAL_MAX)]


class RefusedConfig(msgspec.Struct, frozen=True):
    """A signed configuration that this version of the program cannot use, and why."""

    serial: Serial
    error: str


class SignedConfigError(ConfigError):
    """This is no configuration for us."""


class SignedConfig(msgspec.Struct, frozen=True):
    """The answer to GET config. The signature covers `serial` and `config`; the latter names site
    and gateway.
    """

    gateway: str
    serial: Serial
    config: str
    signature: str
    v: int = 1


def sign_site_config(config: str, gateway: str, serial: int, key: Ed25519PrivateKey) -> bytes:
    """What a server hands out, and what lies on a stick. Raises SignedConfigError."""
    if serial > SERIAL_MAX:
        raise SignedConfigError(
            f"a configuration has a number of at most {SERIAL_MAX}, not {serial}"
        )
    signature = base64.b64encode(key.sign(_message(serial, config))).decode("ascii")
    return msgspec.json.encode(SignedConfig(gateway, serial, config, signature))


def parse_signed_config(data: bytes) -> SignedConfig:
    """By its form alone. Raises SignedConfigError."""
    try:
        return msgspec.json.decode(data, type=SignedConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SignedConfigError(f"no signed configuration: {error}") from error


def signed_by(found: SignedConfig, key: Ed25519PublicKey) -> bool:
    try:
        signature = base64.b64decode(found.signature, validate=True)
        key.verify(signature, _message(found.serial, found.config))
    except (ValueError, InvalidSignature):  # binascii's is the former
        return False
    return True


def verify_signed_config(data: bytes, target: EnrolmentTarget) -> SignedConfig:
    """Raises SignedConfigError."""
    found = parse_signed_config(data)
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(target.operator, validate=True))
    except ValueError as error:  # binascii's is one
        raise SignedConfigError(f"the operator's key in the claim: {error}") from error
    if not signed_by(found, key):
        raise SignedConfigError("the configuration is not signed by the claim's operator")
    # the signature does not cover the names beside it: those inside count
    try:
        table = parse_toml(found.config).get("site")
    except TomlError as error:
        raise SignedConfigError(f"the configuration is no TOML: {error}") from error
    named = table if isinstance(table, dict) else {}
    if found.v != 1 or (named.get("gateway"), named.get("id")) != (target.gateway, target.site):
        raise SignedConfigError(f"the configuration is not for {target.gateway} at {target.site}")
    return found


def store_signed_config(
    folder: StateFolder,
    data: bytes,
    target: EnrolmentTarget,
    changing: Callable[[], None] = lambda: None,
    trial: Callable[[SignedConfig], str] = lambda found: "",
    *,
    failed: str = "",
) -> None:
    """First as it came, so that it can be verified again; then as the daemon reads it.

    `changing` is called before the latter changes: who is killed in between has left word. `trial`
    says why one that differs cannot be used here, or ""; until another one is taken, that is kept.
    `failed`: SHA-256 of one that the daemon has rolled back, which is not worth to be remembered.
    Raises SignedConfigError, also where a newer one is here; then all stays as it is.
    """
    found, held = verify_signed_config(data, target), held_config(folder, target)
    same = held is not None and (found.serial, found.config) == (held.serial, held.config)
    if held and found.serial <= held.serial and not same:
        raise SignedConfigError(
            f"the configuration is number {found.serial}, and {held.serial} is here already: "
            "to go back to an old one, sign it again"
        )
    if folder.get(statefolder.SITE) != found.config.encode() and (why := trial(found)):
        _put_changed(
            folder, statefolder.REFUSED, msgspec.json.encode(RefusedConfig(found.serial, why))
        )
        raise SignedConfigError(f"configuration number {found.serial} cannot be used here: {why}")
    before = folder.get(statefolder.SITE)
    if before not in (None, found.config.encode()) and sha256(before or b"").hexdigest() != failed:
        folder.put(statefolder.SITE_BEFORE, before or b"")
    _keep(folder, data, found, changing)
    folder.remove(statefolder.REFUSED)


def _keep(
    folder: StateFolder, data: bytes, found: SignedConfig, changing: Callable[[], None]
) -> None:
    _put_changed(folder, statefolder.CONFIG, data)
    _put_changed(folder, statefolder.SITE, found.config.encode(), changing)


def _put_changed(
    folder: StateFolder, name: str, data: bytes, changing: Callable[[], None] = lambda: None
) -> None:
    if folder.get(name) != data:
        changing()
        folder.put(name, data)


def has_stored_config(folder: StateFolder, target: EnrolmentTarget) -> bool:
    """Whether a good one is here; what the daemon reads is made from it again if need be."""
    try:
        data = folder.get(statefolder.CONFIG)
        if data is None:
            return False
        _keep(folder, data, verify_signed_config(data, target), lambda: None)
    except (OSError, SignedConfigError):
        return False
    return True


def held_config(folder: StateFolder, target: EnrolmentTarget) -> SignedConfig | None:
    """The one that is here, if it is one for this home: another claim begins anew."""
    data = folder.get(statefolder.CONFIG)
    try:
        return None if data is None else verify_signed_config(data, target)
    except SignedConfigError:
        return None


def refused_config(folder: StateFolder) -> RefusedConfig | None:
    """The one that cannot be used here, while no other one has been taken."""
    try:
        return msgspec.json.decode(folder.get(statefolder.REFUSED) or b"", type=RefusedConfig)
    except (OSError, ValueError):  # a MsgspecError is one
        return None


def _message(serial: int, config: str) -> bytes:
    return f"kerbstone config {serial}\n{config}".encode()
