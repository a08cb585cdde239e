"""Where a box keeps its configuration: the technician's own file, or the one that came signed."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

NAME: Final = "site.toml"
OWN: Final = Path("/etc/kerbstone") / NAME
SIGNED: Final = Path("/var/lib/kerbstone/identity") / NAME  # root's; see docs/enrolment.md
HANDED: Final = Path("/run/credentials/kerbstone.service") / NAME  # the daemon's copy of it


def site_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The file that counts here: a technician's own one first, then what the operator has signed.

    systemd hands a copy of the latter to each service (LoadCredential=), an empty line where there
    is none. Without any file it is the place where a technician would put his.
    """
    given = environ.get("CREDENTIALS_DIRECTORY")
    signed = (HANDED, SIGNED) if given is None else (Path(given) / NAME,)
    return next((path for path in (OWN, *signed) if _holds_something(path)), OWN)


def _holds_something(path: Path) -> bool:
    try:
        return path.stat().st_size > 1
    except OSError:  # not there, or not for us to see
        return False
