"""What the label inside the door opens, in a backup: the page's secret and the key of the Wi-Fi.

The label hangs in the cabinet, and only the box is exchanged, so both go along (decision 77). Of
the secret there is only a line of scrypt, on a box as in a backup; the key is in clear, as the
radio needs it.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from edge.core.boxfiles import ACCESS_POINT_NAME, LABEL_KEPT_NAME, SIGNED_SITE_FILE
from edge.core.pagecertificate import LOGIN_NAME, PAGE_STATE
from edge.core.secrethash import SecretHashError, check_secret_hash
from edge.core.tomltext import parse_toml
from edge.diagnose.backupfile import BackupFileError
from edge.diagnose.boxplaces import CLAIM_PLACES, HOME, BackupPlaces
from edge.durable.atomicwrite import replace_file
from edge.durable.readfile import read_file
from edge.identity.pageaccess import read_access_point

KIND: Final = "access"  # of parts
LOGIN_PART: Final = f"{KIND}/{LOGIN_NAME}"
WIFI_PART: Final = f"{KIND}/{ACCESS_POINT_NAME}"
KEPT_TEXT: Final = (
    "the label inside the door stays valid: its secret and its Wi-Fi are those of this box now. "
    "A label of the new claim opens nothing"
)
SECRET_KEPT_TEXT: Final = "the secret of the page on the label inside the door stays valid"
VOID_TEXT: Final = (
    "the label inside the door is void: what it opens is not in this box. Put the label of the new "
    "claim there (`kerbstone provision label --access`). A claim without one: `sudo "
    "kerbstone-enrol access --new`, or `sudo kerbstone web secret`, shows what to write on it"
)


def access_files(places: BackupPlaces) -> Iterator[tuple[str, Path]]:
    """Part, and the file that counts on this box. A box that was set up by hand has only a secret,
    in the page's own folder."""
    login = _identity(places) / LOGIN_NAME
    yield LOGIN_PART, login if _holds_something(login) else _page(places) / LOGIN_NAME
    yield WIFI_PART, _identity(places) / ACCESS_POINT_NAME


def check_access(parts: Mapping[str, bytes]) -> None:
    """Raises BackupFileError for what opens nothing."""
    try:
        if (line := parts.get(LOGIN_PART)) is not None:
            check_secret_hash(line.decode("ascii").strip())
    except (UnicodeDecodeError, SecretHashError) as error:
        raise BackupFileError(f"it is damaged: {LOGIN_PART}: {error}") from error
    if WIFI_PART in parts and read_access_point(parts[WIFI_PART]) is None:
        raise BackupFileError(f"it is damaged: {WIFI_PART}")


def bring_access(parts: Mapping[str, bytes], places: BackupPlaces) -> str:
    """Puts both in place, for root alone, and says what becomes of the label. Raises OSError.

    The claim of this box brings others: the mark that says they do not count is there first.
    """
    login, wifi = parts.get(LOGIN_PART), parts.get(WIFI_PART)
    folder = _identity(places)
    if login is not None and wifi is not None:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        if not (places.root / HOME).exists():  # no claim is taken any more on an enrolled box
            _put(folder / LABEL_KEPT_NAME, _claim(places).encode())
        _put(folder / LOGIN_NAME, login)
        _put(folder / ACCESS_POINT_NAME, wifi)
        return KEPT_TEXT
    if login is None or _holds_something(folder / LOGIN_NAME):
        return VOID_TEXT
    _page(places).mkdir(0o755, parents=True, exist_ok=True)
    _put(_page(places) / LOGIN_NAME, login)
    return SECRET_KEPT_TEXT


def _put(path: Path, data: bytes) -> None:
    """Its owner is that of the folder, as whoever reads it expects."""
    if read_file(path) == data:
        return
    replace_file(path, data)
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid)


def _claim(places: BackupPlaces) -> str:
    """The id of the claim that waits on this box; "" where none is there yet."""
    for place in CLAIM_PLACES:
        try:
            found = parse_toml((read_file(places.root / place) or b"").decode()).get("claim")
        except (OSError, ValueError):
            continue
        if isinstance(found, str):
            return found
    return ""


def _holds_something(path: Path) -> bool:
    try:
        return path.stat().st_size > 1
    except OSError:
        return False


def _identity(places: BackupPlaces) -> Path:
    return places.root / SIGNED_SITE_FILE.parent.relative_to("/")


def _page(places: BackupPlaces) -> Path:
    return places.root / PAGE_STATE.relative_to("/")
