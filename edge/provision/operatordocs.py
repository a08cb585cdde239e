"""What an operator writes at a desk: a claim, a label, a signed configuration. No server needed."""

import base64
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.core import ConfigError
from edge.core.tomltext import parse_toml
from edge.identity import siteconfig
from edge.identity.claim import CLAIM_NAME, Claim, sign_claim
from edge.identity.names import is_gateway, spki_hash
from edge.identity.network import Network
from edge.provision import operatorfiles
from edge.provision.registry import time_to_text

CODE_BYTES: Final = 16  # 128 bit: 26 letters of base32
SECRET_KEYS: Final = ("psk", "password", "pin")
LIST_KEYS: Final = ("dns", "ntp")
NUMBER_KEYS: Final = ("prefix", "vlan")


@dataclass(frozen=True, slots=True)
class WrittenClaim:
    """A claim's file, and what is printed for the one who carries it."""

    path: Path
    claim: Claim
    label: str


def operator_key(path: Path) -> Ed25519PrivateKey:
    """Raises ConfigError."""
    data = operatorfiles.read_file(path, "operator's key")
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"{path}: others may read this key: chmod 600 {path}")
    try:
        key = serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: no private key in PEM: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: not an Ed25519 key; `kerbstone provision ca` makes one")
    return key


def public_key(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode("ascii")


def parse_network(pairs: Sequence[str]) -> Network | None:
    """`KEY=VALUE` each; `KEY=@FILE` for what is secret. Raises ConfigError."""
    if not pairs:
        return None
    table: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key in table:
            raise ConfigError(f"--network {pair!r:.60}: write KEY=VALUE, each key once")
        if key in SECRET_KEYS and value.startswith("@"):
            value = _secret(key, Path(value[1:]))
        table[key] = value.split(",") if key in LIST_KEYS else value
        if key in NUMBER_KEYS and value.isdecimal():
            table[key] = int(value)
    try:
        return msgspec.convert(table, Network)
    except msgspec.ValidationError as error:
        raise ConfigError(f"--network: {error}") from None


def _secret(key: str, path: Path) -> str:
    try:
        return operatorfiles.read_file(path, key).decode().strip("\r\n")
    except UnicodeDecodeError:
        text = f"{path}: a {key} must be UTF-8, because it is used unchanged"
        raise ConfigError(text) from None


def new_claim(
    out: Path, key: Ed25519PrivateKey, fields: dict[str, object], now: datetime, days: int
) -> WrittenClaim:
    """Write a claim into this folder: best the boot partition itself. Raises ConfigError.

    The file has a code that is worth an identity until somebody used it: only its owner reads it
    (on a FAT partition that means nothing).
    """
    own = {
        "claim": secrets.token_hex(8),
        "code": base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode("ascii").rstrip("="),
        "expires": time_to_text(now + timedelta(days=days)),
    }
    try:
        claim = msgspec.convert({**fields, **own}, Claim)
    except msgspec.ValidationError as error:
        raise ConfigError(f"this claim would be invalid: {error}") from None
    path = out / CLAIM_NAME
    operatorfiles.create_file(path, sign_claim(claim, key), operatorfiles.OWNER_MODE)
    text = f"{claim.gateway}\n{claim.site} {claim.role}\nclaim {claim.claim}\n"
    return WrittenClaim(path, claim, f"{text}until {claim.expires}\n")


def label_text(page: str, gateway: str, spki: bytes) -> str:
    """What the QR code on the case says: a name and a key's hash. Neither is a secret."""
    if not is_gateway(gateway):
        raise ConfigError(f"{gateway!r:.80} is not a gateway name")
    return f"{page.rstrip('/')}/d/{gateway}#{spki_hash(spki)[:16]}"


def draw_qr(text: str, path: Path | None) -> bool:
    """The QR code as SVG or PNG, or on the terminal; False where `segno` is not installed.

    Raises ConfigError, OSError.
    """
    try:
        from segno import make  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return False
    code = make(text, error="m", micro=False)
    if path is None:
        code.terminal(compact=True)
    elif path.suffix in (".svg", ".png"):
        code.save(str(path), scale=4, light="#fff")  # also where a viewer's ground is dark
    else:
        raise ConfigError(f"{path}: a label is drawn as NAME.svg or NAME.png")
    return True


def sign_config(
    config: Path, gateway: str, key: Ed25519PrivateKey, out: Path, now: datetime, after: int = 0
) -> tuple[Path, int]:
    """Put a box's site.toml, signed, where the server takes it. Raises ConfigError, OSError.

    Its number is the time in seconds; or more than that, to be higher than `after` and than the
    number of the one that it replaces in `out`.
    """
    try:
        text = operatorfiles.read_file(config, "configuration").decode()
        site = parse_toml(text).get("site")
    except ValueError as error:  # not UTF-8 is one, too
        raise ConfigError(f"{config}: not TOML: {error}") from None
    named = site.get("gateway") if isinstance(site, dict) else None
    if not is_gateway(gateway) or named != gateway:
        raise ConfigError(
            f"{config}: its gateway is {named!r:.70}, but --gateway is {gateway!r:.70}"
        )
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{gateway}.json"
    serial = max(int(now.timestamp()), after + 1, _serial(path, key) + 1)
    operatorfiles.replace_file(path, siteconfig.sign_site_config(text, gateway, serial, key))
    return path, serial


def _serial(path: Path, key: Ed25519PrivateKey) -> int:
    """Of the configuration that is there; 0 for none. Raises ConfigError.

    A number that nobody has signed may be there to use up all others.
    """
    if not path.exists():
        return 0
    try:
        found = siteconfig.parse_signed_config(operatorfiles.read_file(path, "configuration"))
    except siteconfig.SignedConfigError as error:
        raise ConfigError(f"{path}: {error}; remove this file") from None
    if not siteconfig.signed_by(found, key.public_key()):
        text = "not signed with this key. If the claim names another operator's key, sign with"
        raise ConfigError(f"{path}: {text} that key; otherwise remove the file")
    return found.serial


def parse_hosts(words: Sequence[str]) -> list[str]:
    """Names and addresses of a server, as they may stand in its certificate. Raises ConfigError."""
    for each in words:
        try:
            ipaddress.ip_address(each)
        except ValueError:
            if not each.isascii() or not each.replace("-", "").replace(".", "").isalnum():
                raise ConfigError(f"{each!r:.80} is neither a host name nor an address") from None
    return list(words)
