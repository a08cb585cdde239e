"""The claim: a small signed file that names where a new box asks for its identity.

It lies on a partition that anybody can read, so it holds no private key, and it is worth nothing
twice: its code is taken once, by one key. `parse` finds a torn or an altered file by the signature.
Whether the operator is one to trust only the server can say.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from edge.core import ConfigError
from edge.core.tomltext import parse_toml
from edge.identity.names import GATEWAY, SITE
from edge.identity.network import Network
from edge.identity.pageaccess import PageAccess

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

CLAIM_LIMIT: Final = 16 << 10  # bytes
CLAIM_NAME: Final = "kerbstone-claim.toml"
WRITE_AGAIN_HINT: Final = (
    "write it again with `kerbstone provision new` and copy it to the boot partition"
)
SIGNATURE: Final = re.compile(rb'signature = "([A-Za-z0-9+/]{86}==)"\n\Z')
EXPIRES_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"

SiteName = Annotated[str, Meta(pattern=SITE)]
Url = Annotated[str, Meta(min_length=1, max_length=256)]


class ClaimError(ConfigError):
    """This claim cannot be used; the text says what, where, and what to do."""


class AlteredError(ClaimError):
    """Its signature does not fit: it is torn, or somebody changed it."""


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is promised to one box. `operator` is the Ed25519 key that signed it, raw, base64."""

    v: Literal[1] = 1
    claim: Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")]
    site: SiteName
    role: SiteName
    gateway: Annotated[str, Meta(pattern=GATEWAY)]
    code: Annotated[str, Meta(pattern=r"\A[A-Z2-7]{26}\Z")]
    expires: Annotated[str, Meta(pattern=r"\A[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z\Z")]
    enrol: Url
    label: Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,32}\Z")] = "kerbstone"
    ca: Annotated[str, Meta(min_length=1, max_length=CLAIM_LIMIT)]
    broker: Url
    operator: str = ""
    network: Network | None = None
    access: PageAccess | None = None

    def __post_init__(self) -> None:
        try:
            self.expires_at()
        except ValueError:
            raise ValueError(f"`expires` {self.expires} is no date") from None
        _url("enrol", self.enrol, "https")
        _url("broker", self.broker, "mqtts")

    def expires_at(self) -> datetime:
        return datetime.strptime(self.expires, EXPIRES_FORMAT).replace(tzinfo=UTC)


def parse_claim(data: bytes) -> Claim:
    """The claim in these bytes. Raises ClaimError; an `AlteredError` when the signature is wrong.

    Its expiry is not looked at: the clock of a new box may be anywhere.
    """
    if len(data) > CLAIM_LIMIT:
        raise ClaimError(
            f"{CLAIM_NAME}: {len(data)} bytes, more than {CLAIM_LIMIT}: no claim; "
            f"{WRITE_AGAIN_HINT}"
        )
    found = SIGNATURE.search(data)
    if found is None or (found.start() and data[found.start() - 1] != 0x0A):
        raise AlteredError(
            f"{CLAIM_NAME}: the last line is not a signature: the file is incomplete; "
            f"{WRITE_AGAIN_HINT}"
        )
    body = data[: found.start()]
    claim = _claim(body)
    _verify(claim.operator, base64.b64decode(found[1]), body)
    _anchors(claim.ca)
    return claim


def sign_claim(claim: Claim, key: "Ed25519PrivateKey") -> bytes:
    """The file of this claim, signed; `operator` becomes the public half of the key."""
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode("ascii")
    claim = msgspec.structs.replace(claim, operator=public, ca=claim.ca.strip() + "\n")
    body = "".join(_lines(claim)).encode()
    signature = base64.b64encode(key.sign(body)).decode("ascii")
    data = body + f'signature = "{signature}"\n'.encode("ascii")
    if parse_claim(data) != claim:
        raise ClaimError(f"{CLAIM_NAME}: a value of it cannot be written in TOML")
    return data


def _claim(body: bytes) -> Claim:
    try:
        table = parse_toml(body.decode())
    except ValueError as error:  # not UTF-8 is a ValueError too
        raise ClaimError(f"{CLAIM_NAME}: not TOML: {error}; {WRITE_AGAIN_HINT}") from None
    try:
        return msgspec.convert(table, Claim)
    except msgspec.ValidationError as error:
        raise ClaimError(f"{CLAIM_NAME}: {error}; {WRITE_AGAIN_HINT}") from None


def _verify(operator: str, signature: bytes, body: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(operator, validate=True))
    except (binascii.Error, ValueError):
        raise ClaimError(
            f"{CLAIM_NAME}: `operator` is no Ed25519 key in base64; {WRITE_AGAIN_HINT}"
        ) from None
    try:
        key.verify(signature, body)
    except InvalidSignature:
        raise AlteredError(
            f"{CLAIM_NAME}: its signature is wrong: the file was altered or is incomplete; "
            f"{WRITE_AGAIN_HINT}"
        ) from None


def _anchors(pem: str) -> None:
    from cryptography import x509

    try:
        x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, x509.InvalidVersion):
        raise ClaimError(
            f"{CLAIM_NAME}: `ca` holds no certificate in PEM; {WRITE_AGAIN_HINT}"
        ) from None


def _url(key: str, text: str, scheme: str) -> None:
    right = f"`{key}` is of the form {scheme}://host:port, and not {text!r:.80}"
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError(right)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(right) from None
    host = parts.hostname or ""
    plain = re.fullmatch(r"[a-z0-9.-]+|[0-9a-f:.]+", host) and port != 0
    extra = (
        parts.username is not None or parts.query or parts.fragment or "?" in text or "#" in text
    )
    path = parts.path if scheme == "https" else parts.path or None  # behind a proxy there is one
    if parts.scheme != scheme or not plain or extra or (scheme == "mqtts" and path):
        raise ValueError(right)


def _lines(claim: Claim) -> Iterator[str]:
    """Tables as dotted keys: so the signature, in the last line, belongs to no table."""
    for key, value in msgspec.to_builtins(claim).items():
        if key == "ca":
            yield f'ca = """\n{value}"""\n'
        elif isinstance(value, dict):
            for name, each in value.items():
                if each is not None and each != ():
                    yield f"{key}.{name} = {_value(each)}\n"
        elif value is not None:
            yield f"{key} = {_value(value)}\n"


def _value(value: Any) -> str:
    # JSON's texts, numbers and lists of texts are TOML's too, except for DEL
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
