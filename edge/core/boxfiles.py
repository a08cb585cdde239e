"""Where a box keeps its configuration, a technician's own or the signed one, and its identity."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SITE_FILE_NAME: Final = "site.toml"
OWN_SITE_FILE: Final = Path("/etc/kerbstone") / SITE_FILE_NAME
SIGNED_SITE_FILE: Final = (
    Path("/var/lib/kerbstone-identity") / SITE_FILE_NAME
)  # root's; see docs/enrolment.md
ACCESS_POINT_NAME: Final = "access-point.json"  # beside it: name and key of the access point
LABEL_KEPT_NAME: Final = "label.kept"  # beside it: what a claim brings for a label does not count
OWN_KEY: Final = "identity.key"  # one that stays a credential: see docs/enrolment.md
HANDED_SITE_FILE: Final = (
    Path("/run/credentials/kerbstone.service") / SITE_FILE_NAME
)  # the daemon's copy of it


def find_site_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The file that counts here: a technician's own one first, then what the operator has signed.

    systemd hands a copy of the latter to each service (LoadCredential=), an empty line where there
    is none. Without any file it is the place where a technician would put his.
    """
    given = environ.get("CREDENTIALS_DIRECTORY")
    signed = (
        (HANDED_SITE_FILE, SIGNED_SITE_FILE) if given is None else (Path(given) / SITE_FILE_NAME,)
    )
    return next(
        (path for path in (OWN_SITE_FILE, *signed) if _holds_something(path)), OWN_SITE_FILE
    )


def _holds_something(path: Path) -> bool:
    try:
        return path.stat().st_size > 1
    except OSError:  # not there, or not for us to see
        return False


@dataclass(frozen=True, slots=True)
class IdentityFiles:
    """What enrolment has brought: whom to trust, our certificate, its key."""

    ca: Path
    cert: Path
    key: Path


def find_identity_files(environ: Mapping[str, str] = os.environ) -> IdentityFiles | None:
    """The identity that systemd hands over to this process, if this box has one."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder is None:
        return None
    ca, cert, *keys = (Path(folder) / name for name in ("ca.pem", "cert.pem", "key.pem", OWN_KEY))
    key = next(filter(_holds_something, keys), None)
    whole = key is not None and all(map(_holds_something, (ca, cert)))
    return IdentityFiles(ca, cert, key) if key is not None and whole else None
