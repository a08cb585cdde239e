"""With what the daemon makes itself known, and whom it believes: its own files, or its identity."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.config import Site
from edge.core.boxfiles import find_identity_files


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
