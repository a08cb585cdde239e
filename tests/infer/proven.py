"""The bundles that ship, opened and proved once for all tests of a module."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.infer.guard import Guard
from edge.infer.session import Session
from models import BUNDLES


@contextmanager
def proven_once() -> Iterator[None]:
    """A session keeps nothing of one run for the next: who asks it brings his state."""
    kept: dict[Path, Session] = {}

    def session(folder: Path) -> Session:
        if folder.parent != BUNDLES:  # a test's own may change
            return Session(folder)
        if folder not in kept:
            kept[folder] = Session(folder)
        return kept[folder]

    with pytest.MonkeyPatch.context() as patch:
        defaults = Guard.__init__.__kwdefaults__
        assert defaults is not None
        patch.setitem(defaults, "open_session", session)
        yield
