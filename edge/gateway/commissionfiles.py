"""Commissioning on the card: how far it is, and the sheets that were signed.

`commissioning.json` is the old one or the new one, whenever the power goes; it goes along to a box
that takes the place of this one. Of the sheets the last SHEETS_KEPT stay on this box:
`acceptance/sheet-0003.json`, and the same for eyes as `sheet-0003.html`. Calls block on the disk:
not in the main loop, but for `load`, once.
"""

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edge.commission.session import CommissionSession, decode_session, encode_session
from edge.core.printable import json_line_text
from edge.durable.atomicwrite import replace_file
from edge.durable.folders import fsync_folder
from edge.durable.readfile import read_file

LOG: Final = logging.getLogger("kerbstone")
STATE_NAME: Final = "commissioning.json"
DAMAGED_NAME: Final = f"{STATE_NAME}.damaged"
SHEETS: Final = "acceptance"  # a folder
STATE_LIMIT: Final = 4 << 20
SHEET_LIMIT: Final = 3 << 20  # an answer of the control socket must hold one
SHEETS_KEPT: Final = 10
SHEET_NAME: Final = re.compile(r"sheet-(\d{4,9})\.json")
GROUP_MODE: Final = 0o640  # technicians of the group kerbstone may copy a sheet
FOLDER_MODE: Final = 0o750


class CommissionFiles:
    """Of one gateway. `store` is its folder on the card."""

    def __init__(self, store: Path) -> None:
        self._store, self.folder = store, store / SHEETS

    def load(self) -> CommissionSession:
        """What was kept; one that cannot be read is set aside, and commissioning begins anew."""
        path = self._store / STATE_NAME
        try:
            data = read_file(path, STATE_LIMIT)
            return CommissionSession() if data is None else decode_session(data)
        except (OSError, ValueError) as error:
            LOG.warning("%s cannot be read and is set aside: %s", path, error)
        session = CommissionSession(number=max(self.numbers(), default=0))
        try:
            path.rename(path.with_name(DAMAGED_NAME))
        except OSError as error:
            LOG.warning("%s: %s", path, error)
        return session

    def save(self, session: CommissionSession) -> None:
        """Durable on return. Raises OSError; ValueError for one that has grown too large."""
        data = encode_session(session)
        if len(data) > STATE_LIMIT:
            raise ValueError("too much is kept of this commissioning: begin anew")
        replace_file(self._store / STATE_NAME, data, GROUP_MODE)

    def keep_sheet(self, number: int, file: Mapping[str, Any], page: str) -> None:
        """Both forms, durable on return. Raises OSError; ValueError for one that is too large."""
        text = json_line_text(file, 1)
        if max(len(text), len(page.encode())) > SHEET_LIMIT:
            raise ValueError("the sheet is too large to be kept")
        self._ready()
        replace_file(self._path(number, "html"), page.encode(), GROUP_MODE)
        replace_file(self._path(number, "json"), f"{text}\n".encode(), GROUP_MODE)

    def tidy(self) -> None:
        """Away with the oldest sheets. Raises OSError."""
        for number in sorted(self.numbers())[:-SHEETS_KEPT]:
            self._path(number, "json").unlink(missing_ok=True)
            self._path(number, "html").unlink(missing_ok=True)

    def numbers(self) -> list[int]:
        """Of the sheets that are here."""
        try:
            names = [path.name for path in self.folder.iterdir()]
        except OSError:
            return []
        return sorted(int(found[1]) for name in names if (found := SHEET_NAME.fullmatch(name)))

    def sheet(self, number: int) -> dict[str, Any] | None:
        """One sheet; None: it is not here. Raises OSError, ValueError for a damaged one."""
        data = read_file(self._path(number, "json"), SHEET_LIMIT)
        found = None if data is None else json.loads(data)
        if found is not None and not isinstance(found, dict):
            raise ValueError("this is no sheet")
        return found

    def page(self, number: int) -> str | None:
        """The same for eyes. Raises OSError, ValueError."""
        data = read_file(self._path(number, "html"), SHEET_LIMIT)
        return None if data is None else data.decode()

    def _path(self, number: int, suffix: str) -> Path:
        return self.folder / f"sheet-{number:04}.{suffix}"

    def _ready(self) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir(FOLDER_MODE, exist_ok=True)
            fsync_folder(self.folder.parent)
