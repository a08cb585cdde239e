"""Runs the vectors against a store: ours, or any other.

    python -m tests.audit.runner --suffix .db
    python -m tests.audit.runner --put 'their-import {store}' --audit 'their-audit {store} {keys}'

`put` reads messages from its input, a JSON object `{"topic", "payload"}` a line, and keeps them in
`{store}`. `audit` writes a JSON object a line, of which those with `finding` count: its kind. Exit
code 0 means complete, 1 findings. `{keys}` are the options `--keys FOLDER` and `--unsigned-ok
GATEWAY`, or nothing.
"""

import argparse
import contextlib
import io
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol

from edge.cli.main import VERBS, main
from edge.platform.openstore import StorePlace, open_store
from tests.kit.scripted import GW, Sent, entries

FOLDER: Final = Path(__file__).parent / "vectors"


class AuditedPlatform(Protocol):
    """What is put to the test."""

    def put(self, store: StorePlace, messages: Sequence[dict[str, Any]]) -> None: ...
    def audit(self, store: StorePlace, keys: Sequence[str]) -> tuple[int, str]: ...


class OurAudit:
    """`kerbstone receipts` and `kerbstone audit`, without their broker."""

    def put(self, store: StorePlace, messages: Sequence[dict[str, Any]]) -> None:
        kept = open_store(store, write=True)
        kept.commit(entries(Sent(each["topic"], each["payload"]) for each in messages), [])
        kept.close()

    def audit(self, store: StorePlace, keys: Sequence[str]) -> tuple[int, str]:
        VERBS.setdefault("audit", "")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = main(["audit", "--store", str(store), "--json", *keys])
        return code, said.getvalue()


class Theirs:
    """Two commands."""

    def __init__(self, put: str, audit: str) -> None:
        self._put, self._audit = put, audit

    def put(self, store: StorePlace, messages: Sequence[dict[str, Any]]) -> None:
        lines = "".join(f"{json.dumps(each)}\n" for each in messages)
        words = [word.format(store=store) for word in shlex.split(self._put)]
        subprocess.run(words, input=lines, text=True, check=True)

    def audit(self, store: StorePlace, keys: Sequence[str]) -> tuple[int, str]:
        words: list[str] = []
        for word in shlex.split(self._audit):
            words += keys if word == "{keys}" else [word.format(store=store)]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stdout


def failures(
    platform: AuditedPlatform, vector: Path, suffix: str, database: str | None = None
) -> list[str]:
    """What this platform finds otherwise. The store is a file of this suffix, or the database."""
    stated = json.loads(vector.read_text(encoding="utf-8"))
    found = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "keys").mkdir()
        (folder / "keys" / "gateway.pem").write_text(stated["certificate"])
        store: StorePlace = database or folder / f"store{suffix}"
        platform.put(store, stated["messages"])
        keys = ["--keys", str(folder / "keys")]
        if stated["unsigned_ok"]:
            keys += ["--unsigned-ok", GW]
        for options, expected in (([], "findings"), (keys, "findings_with_keys")):
            code, said = platform.audit(store, options)
            lines = (json.loads(line) for line in said.splitlines())
            kinds = sorted({line["finding"] for line in lines if "finding" in line})
            if (code, kinds) != (bool(stated[expected]), stated[expected]):
                text = f"{vector.stem}: {expected} are {stated[expected]}"
                found.append(f"{text}; it says {kinds}, and ends with {code}")
    return found


def run() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--put", help="a command that fills {store} from messages at its input")
    parser.add_argument("--audit", help="a command that audits {store}, with {keys}")
    parser.add_argument("--suffix", default=".db", help="of the store's name")
    args = parser.parse_args()
    ours = args.put is None or args.audit is None
    platform: AuditedPlatform = OurAudit() if ours else Theirs(args.put, args.audit)
    vectors = sorted(FOLDER.glob("*.json"))
    wrong = [text for each in vectors for text in failures(platform, each, args.suffix)]
    for text in wrong:
        print(text)
    print(f"{len(vectors)} vectors, {len(wrong)} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(run())
