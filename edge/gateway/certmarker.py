"""Says for the renewal whether the broker takes our certificate: a line in the run folder.

`connected SHA256` or `refused SHA256`, of the certificate in DER, in hex; `uses SHA256` before
either is known. `kerbstone-enrol renew` removes the identity before this one once it reads the
first, and goes back to it with the second. It is root without any capability, so the group
kerbstone may read.
"""

import hashlib
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.gateway.manifestschedule import first_certificate

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
        new = path.with_suffix(".new")
        try:
            new.write_text(f"{word} {name}\n", encoding="ascii")
            new.chmod(0o640)  # whatever the unit's umask
            new.replace(path)
            last_word = word
        except OSError as error:
            LOG.warning("%s: %s; a renewed certificate will not replace the former", path, error)

    write_word("uses")
    return lambda known: write_word("connected" if known else "refused")
