"""The fingerprint of the page's certificate, for whoever tells it to people: status, console."""

from pathlib import Path

from edge.core.pagecertificate import (
    CERTIFICATE_NAME,
    PAGE_STATE,
    PEM_LIMIT,
    certificate_fingerprint,
)
from edge.durable.readfile import read_file


def read_page_fingerprint(folder: Path = PAGE_STATE) -> str:
    """SHA-256 in pairs; "" where there is no page yet, or its certificate cannot be read."""
    try:
        return certificate_fingerprint(read_file(folder / CERTIFICATE_NAME, PEM_LIMIT) or b"")
    except (OSError, ValueError):
        return ""
