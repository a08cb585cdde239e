"""For a `conftest.py` whose tests take minutes: no part of a run that names another folder."""

from pathlib import Path

import pytest


def left_out(here: Path, collection_path: Path, config: pytest.Config) -> bool | None:
    """What its `pytest_ignore_collect` returns; `here` is its folder."""
    for argument in config.args:
        path = (config.invocation_params.dir / argument.split("::")[0]).resolve()
        if path == here or here in path.parents:
            return None
    return collection_path.suffix == ".py"
