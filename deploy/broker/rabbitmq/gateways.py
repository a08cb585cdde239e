"""Let the approved gateways into a RabbitMQ cluster, and end those that are not approved any more.

    python deploy/broker/rabbitmq/gateways.py --desk /var/lib/kerbstone-provision
    python deploy/broker/rabbitmq/gateways.py --names FILE      # one a line; - is standard input

RabbitMQ lets nobody in by his certificate alone: each name is a user there, without a password. To
be run on one node, after each approval and revocation, or every few minutes: it changes what
differs. Whoever is removed loses his open connection too. Only users with the tag `gateway` are
touched. Exit codes: 0 fine, 1 too many would go, 2 wrong use, 3 the cluster does not answer.
"""

import argparse
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[3]))  # from a checkout, wherever it is called

from edge.core import ConfigError
from edge.identity.names import is_gateway

TAG: Final = "gateway"
EXCHANGE: Final = "amq.topic"
MOST: Final = 100_000  # names
ENOUGH: Final = 5  # or a tenth: more than that are not removed without being asked for
PATIENCE_S: Final = 600


class Done(NamedTuple):
    """Names of gateways."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


class ManyError(Exception):
    """So many would go that the list is more likely wrong than they are."""


@dataclass(frozen=True, slots=True)
class Ctl:
    """rabbitmqctl, and the environment that tells it which node."""

    binary: Path
    environment: Mapping[str, str]

    def __call__(self, *words: str) -> str:
        """Raises OSError when the node does not answer."""
        done = subprocess.run(
            [self.binary, "--silent", *words], env=dict(self.environment), timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise OSError(f"rabbitmqctl {words[0]}: {(done.stderr or done.stdout).strip()[-500:]}")
        return done.stdout


def user(name: str) -> dict[str, Any]:
    """`""` is no password: nobody can say it."""
    kind = "rabbit_password_hashing_sha256"
    return {"name": name, "password_hash": "", "hashing_algorithm": kind, "tags": [TAG]}


def topics(name: str) -> dict[str, str]:
    """Where MQTT has a slash there is a dot here, and `*` for `+`. The site is any."""
    return {
        "user": name,
        "vhost": "/",
        "exchange": EXCHANGE,
        "write": rf"^kerbstone\.v1\.[^.*#]+\.{name}\.up\.[^*#]+$",
        "read": rf"^kerbstone\.v1\.[^.#]+\.{name}\.down\..+$",
    }


def resources(name: str) -> dict[str, str]:
    """The queues of his own session, and the exchange that all messages pass."""
    own = f"mqtt-(subscription-{name}qos[01]|will-{name})"
    both = rf"^(amq\.topic|{own})$"
    return {"user": name, "vhost": "/", "configure": f"^{own}$", "write": both, "read": both}


def sync(names: Iterable[str], ctl: Callable[..., str], *, many: bool = False) -> Done:
    """Raises ConfigError, ManyError or OSError."""
    wanted = set(names)
    for name in wanted:
        if not is_gateway(name):
            raise ConfigError(f"{name!r:.80} is no name of a gateway: 3 to 64 of a-z, 0-9 and -")
    users = _listed(ctl, "list_users")
    held = {each["user"] for each in users if TAG in each["tags"]}
    if others := sorted(wanted & {each["user"] for each in users} - held):
        text = "the cluster's own users: a gateway of this name would have their rights"
        raise ConfigError(f"{', '.join(others)}: {text}; give it another name")
    granted = {each["user"] for each in _listed(ctl, "list_permissions")}
    limited = {each["user"] for each in _listed(ctl, "list_topic_permissions")}
    new, gone = sorted(wanted - (held & granted & limited)), sorted(held - wanted)
    if len(gone) > max(ENOUGH, len(held) // 10) and not many:
        text = f"{len(gone)} of {len(held)} gateways are not in the list: --many removes them all"
        raise ManyError(text)
    if new:
        # topics first: who has rights on the exchange and none on topics may use them all
        _load(ctl, {"users": [*map(user, new)], "topic_permissions": [*map(topics, new)]})
        _load(ctl, {"permissions": [*map(resources, new)]})
    for name in gone:
        ctl("delete_user", name)
    return Done(tuple(new), tuple(gone))


def _listed(ctl: Callable[..., str], what: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ctl(what, "--formatter", "json"))
    return found


def _load(ctl: Callable[..., str], definitions: Mapping[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # rabbitmqctl runs as another user; nothing in it is a secret
        path = Path(folder) / "definitions.json"
        path.write_text(json.dumps(definitions))
        path.chmod(0o644)
        ctl("import_definitions", str(path))


def publish_list(crl: Path, folder: Path) -> None:
    """Put the list of revoked certificates where advanced.config looks for it. Raises OSError."""
    folder.mkdir(exist_ok=True)
    said = subprocess.run(
        ["openssl", "crl", "-hash", "-noout", "-in", crl],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if not re.fullmatch(r"[0-9a-f]{8}\n", said.stdout):
        raise OSError(f"{crl}: openssl finds no list of revoked certificates in it")
    new = folder / "new"
    shutil.copyfile(crl, new)
    new.replace(folder / f"{said.stdout.strip()}.r0")


def approved(desk: Path) -> list[str]:
    """The gateways of an enrolment server. Raises ConfigError."""
    path = desk / "store.db"
    try:
        store = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            rows = store.execute("SELECT DISTINCT gateway FROM asked WHERE state = 'approved'")
            return [str(name) for (name,) in rows.fetchmany(MOST)]
        finally:
            store.close()
    except sqlite3.Error as error:
        raise ConfigError(f"{path}: {error}; is the enrolment server here?") from None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--desk", type=Path, metavar="DIR", help="folder of the enrolment server")
    source.add_argument("--names", type=Path, metavar="FILE")
    parser.add_argument("--many", action="store_true", help="remove also more than a tenth")
    parser.add_argument("--ctl", type=Path, default=Path("/usr/sbin/rabbitmqctl"), metavar="FILE")
    args = parser.parse_args(arguments)
    try:
        if args.desk is not None:
            names = approved(args.desk)
        else:
            text = sys.stdin.read() if str(args.names) == "-" else args.names.read_text()
            names = text.split()
        done = sync(names, Ctl(args.ctl, os.environ), many=args.many)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except ManyError as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return 3
    print(f"added {len(done.added)}: {' '.join(done.added)}")
    print(f"removed {len(done.removed)}: {' '.join(done.removed)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
