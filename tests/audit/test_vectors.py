"""The rules of an audit as data: each of our stores finds what it has to, and nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edge.platform.openstore import StorePlace, open_store
from edge.platform.prover import prove_gateway
from tests.audit.make import FOLDER, vectors
from tests.audit.runner import AuditedPlatform, OurAudit, Theirs, failures
from tests.kit.fixtures import postgres
from tests.kit.postgres import PostgresServer
from tests.kit.records import POSTGRES
from tests.kit.scripted import GW, Sent, entries
from tests.long import one_in

__all__ = ["postgres"]

NAMES = sorted(file.stem for file in FOLDER.glob("*.json"))


def test_the_data_are_what_the_gateways_own_code_makes() -> None:
    """Else `python -m tests.audit.make` makes them anew."""
    made = {name: vector.text() for name, vector in vectors()}
    assert {name: (FOLDER / f"{name}.json").read_text("utf-8") for name in NAMES} == made


class ProvedOnArrival(OurAudit):
    """Each message by itself, and the manifests proved after each few."""

    def put(self, store: StorePlace, messages: Sequence[dict[str, Any]]) -> None:
        kept = open_store(store, write=True)
        for number, each in enumerate(messages):
            kept.commit(entries([Sent(each["topic"], each["payload"])]), [])
            if number % 3 == 0 or number == len(messages) - 1:
                prove_gateway(kept, GW)
        kept.close()


@one_in(2)
@pytest.mark.parametrize("audit", [OurAudit(), ProvedOnArrival()], ids=["read", "proved"])
@pytest.mark.parametrize("suffix", [".db", ".jsonl", POSTGRES])
@pytest.mark.parametrize("name", NAMES)
def test_a_vector(
    name: str, suffix: str, audit: AuditedPlatform, request: pytest.FixtureRequest
) -> None:
    database = None
    if suffix == POSTGRES:
        server: PostgresServer = request.getfixturevalue("postgres")
        database = server.database()
    assert failures(audit, FOLDER / f"{name}.json", suffix, database) == []


def test_another_platform_is_two_commands(tmp_path: Path) -> None:
    """One that keeps nothing and finds nothing differs wherever there is something to find."""
    theirs = Theirs("tee {store}", "true {store} {keys}")
    assert failures(theirs, FOLDER / "whole.json", ".x") == []
    (text,) = failures(theirs, FOLDER / "changed_and_resealed.json", ".x")
    assert "unsigned" in text
