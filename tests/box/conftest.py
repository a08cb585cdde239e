"""Tests of the whole box run in virtual time; with real processes they are scenes."""

import pytest

REAL_TIME = "pty"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        call = getattr(item, "callspec", None)
        if call is not None and call.params.get("rig_layer") == REAL_TIME:
            item.add_marker(pytest.mark.scene)
