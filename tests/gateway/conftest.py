"""What several tests of the daemon's parts look at."""

import pytest

from edge.infer.judge import Judge
from tests.kit.lives import GatewayStorage, lived


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> GatewayStorage:
    """The uninterrupted run."""
    return lived(GatewayStorage(tmp_path_factory.mktemp("whole")), [])


@pytest.fixture
def dark(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """From when to when models were told that nobody watched."""
    reported: list[tuple[int, int]] = []
    missing = Judge.missing

    def heard(judge: Judge, from_ns: int, to_ns: int) -> None:
        reported.append((from_ns, to_ns))
        missing(judge, from_ns, to_ns)

    monkeypatch.setattr(Judge, "missing", heard)
    return reported
