"""The bundles that ship, opened and proved once for all tests of a module.

An example:

    @pytest.fixture(autouse=True, scope="module")
    def proven() -> Iterator[None]:
        with proven_once():
            yield
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.infer.modelguard import ModelGuard
from edge.infer.modelsession import ModelSession
from models import BUNDLES


@contextmanager
def proven_once() -> Iterator[None]:
    """A session keeps nothing of one run for the next: who asks it brings his state."""
    kept: dict[Path, ModelSession] = {}

    def session(folder: Path) -> ModelSession:
        if folder.parent != BUNDLES:  # a test's own may change
            return ModelSession(folder)
        if folder not in kept:
            kept[folder] = ModelSession(folder)
        return kept[folder]

    with pytest.MonkeyPatch.context() as patch:
        defaults = ModelGuard.__init__.__kwdefaults__
        assert defaults is not None
        patch.setitem(defaults, "open_session", session)
        yield
