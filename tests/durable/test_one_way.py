"""There is one way of each: what syncs, locks or opens a database stands here, or has a reason."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CALLS = {
    ("os", "fsync"), ("os", "fdatasync"), ("os", "replace"), ("os", "rename"),
    ("fcntl", "flock"), ("fcntl", "lockf"), ("sqlite3", "connect"), ("tempfile", "mkstemp"),
    ("tempfile", "NamedTemporaryFile"),
}  # fmt: skip
ELSEWHERE = {  # nobody else has one of these
    "edge/outbox/ballast.py": "blocks without content",
    "edge/outbox/highwater.py": "one block, in its own place",
    "edge/outbox/outboxfolder.py": "a question to the device",
    "edge/platform/jsonlinesfile.py": "lines of JSON that are appended and read at any offset",
}
SMALL = ("atomicwrite", "folders", "readfile", "filelock", "shred", "checkedline", "framedlog")


def calls(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.value.id, node.attr


def test_files_are_made_durable_here_and_nowhere_else() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "edge").rglob("*.py")
        if CALLS & set(calls(path))
    }
    assert {path for path in found if not path.startswith("edge/durable/")} == set(ELSEWHERE)


def test_nobody_replaces_a_file_by_hand() -> None:
    """`Path.replace` is for what is done here; elsewhere names are moved with `rename`."""
    by_hand = set()
    for path in (ROOT / "edge").rglob("*.py"):
        if ROOT / "edge/durable" in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            match node:
                case ast.Call(func=ast.Attribute(attr="replace"), args=[_], keywords=[]):
                    by_hand.add(path.relative_to(ROOT).as_posix())
    asides = {"edge/link/linkstate.py"}  # it puts a damaged file aside
    rows = {"edge/outbox/downsample.py"}  # not files
    assert by_hand == asides | rows


@pytest.mark.parametrize("module", SMALL)
def test_a_small_process_gets_its_atomic_write_without_a_database(module: str) -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        f"import edge.durable.{module}\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"sqlite3", "tempfile", "shutil", "msgspec", "msgpack", "asyncio"} & set(
        done.stdout.split()
    )


def test_no_part_of_it_is_long() -> None:
    lengths = {
        path.name: len(path.read_bytes().splitlines())
        for path in (ROOT / "edge/durable").glob("*.py")
    }
    assert max(lengths.values()) <= 250, lengths
