"""Finds the bundle that answered before this one, to go back to when this one fails.

Beside `NAME/` may lie `NAME.previous/`: the bundle as it was before an update, whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

PREVIOUS_SUFFIX: Final = ".previous"


def previous_bundle(folder: Path) -> Path | None:
    """The previous bundle of this one; None when there is none."""
    beside = folder.with_name(folder.name + PREVIOUS_SUFFIX)
    return beside if (beside / "manifest.json").is_file() else None
