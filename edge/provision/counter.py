"""What an operator decides: who waits, who is approved, who is revoked; also by a stick."""

import base64
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from edge.core import ConfigError
from edge.identity.claim import NAME
from edge.identity.names import comparison, spki_hash
from edge.provision import files, request
from edge.provision.answers import Answer
from edge.provision.desk import Desk
from edge.provision.home import Home
from edge.provision.rows import Asked, Issued, State, to_text
from edge.provision.store import ClosedError, Store

REQUEST: Final = "kerbstone-request.pem"
CERTIFICATE: Final = "kerbstone-certificate.pem"
ANCHOR: Final = "kerbstone-ca.pem"
CONFIG: Final = "kerbstone-config.json"


class CodeError(Exception):
    """The box shows another code than the request has: it is another box."""


class DeniedError(Exception):
    """The desk refused what was on the stick."""


class Decided(NamedTuple):
    """A request after the decision, and the certificates that ended with it."""

    row: Asked
    revoked: list[Issued]


def told(row: Asked) -> dict[str, Any]:
    """A request as an operator sees it."""
    return {
        "claim": row.claim,
        "gateway": row.gateway,
        "site": row.site,
        "role": row.role,
        "code": comparison(row.spki),
        "spki": spki_hash(row.spki),
        "state": str(row.state),
        "asked": to_text(row.asked),
        "from": row.address,
    }


def choose(store: Store, word: str) -> Asked:
    """The one request that is meant. Raises ConfigError."""
    found = store.find(word)
    waiting = [row for row in found if row.state is State.PENDING]
    live = [row for row in found if row.state is State.APPROVED]
    for each in (waiting, live, found):
        if len(each) == 1:
            return each[0]
    if not found:
        raise ConfigError(f"{word!r:.80}: no box has asked with this; see `provision pending`")
    claims = ", ".join(row.claim for row in waiting or live or found)
    raise ConfigError(f"{word!r:.80} may mean several claims, say which: {claims}")


def approve(home: Home, store: Store, word: str, code: str | None, now: datetime) -> Decided:
    """Raises CodeError, ConfigError. With `code` what the box shows is compared."""
    policy, who = home.policy(), home.authority()
    row = choose(store, word)
    own = comparison(row.spki)
    if code is not None and code.strip().upper().replace("-", "") != own.replace("-", ""):
        text = f"the box of claim {row.claim} has the code {own}, and not {code!r:.40}"
        raise CodeError(f"{text}: do not approve it; look whose box asks from {row.address}")
    try:
        former = store.approve(row.claim, now)
    except ClosedError as error:
        raise ConfigError(str(error)) from None
    home.publish(store, who, now, policy.crl_days)
    return Decided(row._replace(state=State.APPROVED), former)


def revoke(home: Home, store: Store, word: str, reason: str, now: datetime) -> Decided:
    """Refuse a request that waits, or end what a box has. Raises ConfigError."""
    policy, who = home.policy(), home.authority()
    row = choose(store, word)
    ended = store.refuse(row.claim, now, reason)
    home.publish(store, who, now, policy.crl_days)
    return Decided(row._replace(state=State.REFUSED), ended)


def offline(
    home: Home, store: Store, stick: Path, code: str | None, now: Callable[[], datetime]
) -> Decided:
    """For a box without a network: sign the request on a stick, and put the answer beside it.

    It goes through the same desk as a request by HTTPS, so a claim is used once there too.
    Raises CodeError, DeniedError, ConfigError, OSError.
    """
    who = home.authority()
    desk = Desk(home, home.policy(), store, who, now)
    claim = files.read(stick / NAME, "claim")
    try:
        asked = request.read_file(files.read(stick / REQUEST, "certificate request"))
    except request.RequestError as error:
        raise ConfigError(f"{stick / REQUEST}: {error}") from None
    header = base64.b64encode(claim).decode("ascii")
    body = base64.b64encode(asked.der)

    def ask() -> Answer:
        answer = desk.answer(lambda: desk.enrol(header, body, "stick"))
        if answer.status >= 400:
            raise DeniedError(f"{stick}: {answer.said}")
        return answer

    ask()
    row = store.taken(asked.spki)
    done = approve(home, store, row, code, now())
    ask()
    issued = max(
        (each for each in store.certificates(row) if each.spki == asked.spki),
        key=lambda each: each.begins,
    )
    made = x509.load_der_x509_certificate(issued.der)
    config = desk.answer(lambda: desk.config(issued.der))
    if config.status == 200:
        files.write(stick / CONFIG, config.body)
    files.write(stick / ANCHOR, who.certificate.public_bytes(Encoding.PEM))
    files.write(stick / CERTIFICATE, made.public_bytes(Encoding.PEM))  # last: all is there
    return done
