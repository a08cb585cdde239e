"""No way of the data is longer than the page says; measured in a running daemon."""

from pathlib import Path

import pytest

from tests.architecture.hops import ROOT, WAYS, committed, hops, measure
from tests.kit.broker import BINARY


@pytest.mark.long
def test_no_way_is_longer_than_the_page_says() -> None:
    if not Path(BINARY).exists():
        pytest.skip("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
    said = committed()
    assert said.keys() == set(WAYS)
    longer = {
        way: (len(hops(moves)), said[way])
        for way, moves in measure(ROOT).items()
        if len(hops(moves)) > said[way]
    }
    assert not longer, "if it has to be so: python -m tests.architecture.hops --page"
