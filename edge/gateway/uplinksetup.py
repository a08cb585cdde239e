"""The link to the site's broker: with what the daemon makes itself known there, and whom it
believes: its own files, or its identity.

For the renewal a line in the run folder says whether the broker takes our certificate: `connected
SHA256` or `refused SHA256`, of the certificate in DER, in hex; `uses SHA256` before either is
known. `kerbstone-enrol renew` removes the identity before this one once it reads the first, and
goes back to it with the second. It is root without any capability, so the group kerbstone may read.
"""

import hashlib
import logging
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.config import Site, uplink_password
from edge.core import AsyncClock
from edge.core.boxfiles import find_identity_files
from edge.durable.atomicwrite import replace_file
from edge.gateway.manifestsigner import SignBytes, first_certificate, make_byte_signer
from edge.outbox import AsyncOutbox
from edge.uplink.broker import Broker, make_broker
from edge.uplink.sender import Sender, SenderHooks, SenderOptions
from edge.wire import Topics

LOG = logging.getLogger("kerbstone")
MARKER_NAME: Final = "identity"


def make_certificate_marker(cert: Path | None, run_dir: Path) -> Callable[[bool], None]:
    """What to call when the broker has let us in (True), or refuses the certificate (False)."""
    if cert is None:
        return lambda known: None
    try:
        der = ssl.PEM_cert_to_DER_cert(first_certificate(cert.read_text(encoding="ascii")))
    except (OSError, ValueError) as error:  # the broker's own part has said so already
        LOG.debug("%s: %s", cert, error)
        return lambda known: None
    name, path, last_word = hashlib.sha256(der).hexdigest(), run_dir / MARKER_NAME, ""

    def write_word(word: str) -> None:
        nonlocal last_word
        if word == last_word:
            return
        line = f"{word} {name}\n".encode("ascii")
        try:
            replace_file(path, line, 0o640, exact_mode=True, sync=False)
            last_word = word
        except OSError as error:
            LOG.warning("%s: %s; a renewed certificate will not replace the former", path, error)

    write_word("uses")
    return lambda known: write_word("connected" if known else "refused")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Files in PEM; None where there is none. Without `ca` the system's authorities count."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    enrolled: bool = False  # it is what enrolment has brought


def find_tls_files(site: Site, environ: Mapping[str, str] = os.environ) -> TlsFiles:
    """What the site's file names; where it names nothing, what enrolment has brought."""
    uplink = site.uplink
    named = uplink.ca, uplink.cert, uplink.key
    if any(named) or uplink.username or not uplink.url.startswith("mqtts:"):
        ca, cert, key = (None if name is None else Path(name) for name in named)
        return TlsFiles(ca, cert, key)
    found = find_identity_files(environ)
    return TlsFiles() if found is None else TlsFiles(found.ca, found.cert, found.key, enrolled=True)


def make_brokers(
    site: Site,
    floor_ns: Callable[[], int | None] | None = None,
    known: TlsFiles | None = None,
) -> list[Broker]:
    """The site's brokers, in order. Reads the files that are named. Raises ConfigError.

    `floor_ns` says when the wall clock cannot be right: see `Broker`. `known` are the files to use,
    where this process is not handed those of the daemon.
    """
    uplink, known = site.uplink, known or find_tls_files(site)
    return [
        make_broker(
            url,
            site.place.gateway,
            ca=known.ca,
            cert=known.cert,
            key=known.key,
            username=uplink.username,
            password=uplink_password(uplink),
            keepalive_s=uplink.keepalive_s,
            window=uplink.window,
            protocol=uplink.protocol,
            proxy=uplink.proxy,
            floor_ns=floor_ns,
        )
        for url in uplink.urls
    ]


def receipt_patience_s(site: Site) -> float | None:
    """How long the first wait for a receipt is; None: the broker's answer confirms."""
    return site.uplink.receipt_s if site.uplink.confirm == "platform" else None


def find_signer(site: Site) -> SignBytes | None:
    """What signs: the key that the broker knows this box by. Raises ConfigError."""
    known = find_tls_files(site)
    return make_byte_signer(known.key, known.cert)


def make_sender(
    site: Site,
    brokers: Sequence[Broker],
    outbox: AsyncOutbox,
    clock: AsyncClock,
    hooks: SenderHooks,
) -> Sender:
    """The link to the site's broker. Touches no network yet."""
    return Sender(
        brokers,
        Topics(site.uplink.prefix, site.place.id, site.place.gateway),
        site.place.gateway,
        outbox,
        clock,
        boot=outbox.epoch.boot,
        epoch=outbox.epoch.epoch,
        options=SenderOptions(
            encoding=site.uplink.encoding,
            receipt_s=receipt_patience_s(site),
            last_s=site.uplink.last_s,
        ),
        hooks=hooks,
    )


def find_certificate_marker(site: Site) -> Callable[[bool], None]:
    """A certificate that a technician has put here is not renewed by enrolment."""
    known = find_tls_files(site)
    return make_certificate_marker(known.cert if known.enrolled else None, Path(site.store.run_dir))
