"""A gateway that hangs, or is stopped, does not answer: it is not called one that does not run."""

from pathlib import Path

import drivers
from edge.config import load_site
from edge.diagnose.checks import CHECKS, NO_ANSWER
from edge.diagnose.wholeway import WholeWay, make_steps

SITE = """
[site]
id = "quay"
gateway = "gw-1"
[uplink]
url = "mqtt://127.0.0.1:1"
"""


def test_what_only_it_knows_is_not_checked_because_it_does_not_answer(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(SITE)
    site = load_site(file, drivers.catalogue())
    way = WholeWay(site, None, "timed out", None, (), ("north_1",), lambda: "it may run")
    steps = make_steps(way, frozenset(CHECKS))
    asked = [step for step in steps if step.name in ("in use", "load", "lanes", "link", "outbox")]
    assert len(asked) == 5
    causes = {each.cause for step in asked for each in step.work(lambda text: None)}
    assert causes == {NO_ANSWER}
