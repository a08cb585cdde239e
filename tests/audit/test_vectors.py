"""The rules of an audit as data: each of our stores finds what it has to, and nothing else."""

from pathlib import Path

import pytest

from tests.audit.make import FOLDER, vectors
from tests.audit.runner import OurAudit, Theirs, failures
from tests.kit.fixtures import postgres
from tests.kit.postgres import PostgresServer
from tests.kit.records import POSTGRES
from tests.long import one_in

__all__ = ["postgres"]

NAMES = sorted(file.stem for file in FOLDER.glob("*.json"))


def test_the_data_are_what_the_gateways_own_code_makes() -> None:
    """Else `python -m tests.audit.make` makes them anew."""
    made = {name: vector.text() for name, vector in vectors()}
    assert {name: (FOLDER / f"{name}.json").read_text("utf-8") for name in NAMES} == made


@one_in(2)
@pytest.mark.parametrize("suffix", [".db", ".jsonl", POSTGRES])
@pytest.mark.parametrize("name", NAMES)
def test_a_vector(name: str, suffix: str, request: pytest.FixtureRequest) -> None:
    database = None
    if suffix == POSTGRES:
        server: PostgresServer = request.getfixturevalue("postgres")
        database = server.database()
    assert failures(OurAudit(), FOLDER / f"{name}.json", suffix, database) == []


def test_another_platform_is_two_commands(tmp_path: Path) -> None:
    """One that keeps nothing and finds nothing differs wherever there is something to find."""
    theirs = Theirs("tee {store}", "true {store} {keys}")
    assert failures(theirs, FOLDER / "whole.json", ".x") == []
    (text,) = failures(theirs, FOLDER / "changed_and_resealed.json", ".x")
    assert "unsigned" in text
