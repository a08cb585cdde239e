"""Give the approved gateways access to a RabbitMQ cluster, and remove those not approved any more.

    python deploy/broker/rabbitmq/gateways.py --desk /var/lib/kerbstone-provision
    python deploy/broker/rabbitmq/gateways.py --names FILE      # - is standard input

FILE has a gateway and its sites on each line (no site: any site). The enrolment server's folder
(--desk) has each gateway's site, so a gateway may write only there.

RabbitMQ accepts no client by its certificate alone: each name must also be a user, without a
password. Run this script on one node, by a timer or after each approval and revocation. It adds
approved gateways, removes those that are not approved any more, and corrects wrong rights. When it
removes a gateway or corrects its rights, it ends the gateway's open session. Only users with the
tag `gateway` are changed. Exit codes: 0 fine, 1 too many gateways would be removed, 2 wrong use,
3 the cluster does not answer.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[3]))  # from a checkout, wherever it is called

from edge.core import ConfigError
from edge.identity.names import SITE, is_gateway
from edge.platform.sitecheck import approved_gateways, parse_site_list
from edge.terminal import echo

TAG: Final = "gateway"
EXCHANGE: Final = "amq.topic"
ENOUGH: Final = 5  # or a tenth: more than that are not removed without being asked for
PATIENCE_S: Final = 600


class Done(NamedTuple):
    """Names of gateways; added are also those whose rights were others."""

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


def topics(name: str, sites: Collection[str] = ()) -> dict[str, str]:
    """Where MQTT has a slash there is a dot here, and `*` for `+`. Without sites it is any.

    A dot in a topic is one level here and two for who receives it: so no level has one.
    """
    site = f"({'|'.join(sorted(sites))})" if sites else "[^.*#]+"
    return {
        "user": name,
        "vhost": "/",
        "exchange": EXCHANGE,
        "write": rf"^kerbstone\.v1\.{site}\.{name}\.up\.[^.*#]+(\.[^.*#]+)?$",
        "read": rf"^kerbstone\.v1\.[^.#]+\.{name}\.down\..+$",
    }


def resources(name: str) -> dict[str, str]:
    """The queues of his own session, and the exchange that all messages pass."""
    own = f"mqtt-(subscription-{name}qos[01]|will-{name})"
    both = rf"^(amq\.topic|{own})$"
    return {"user": name, "vhost": "/", "configure": f"^{own}$", "write": both, "read": both}


def sync(
    gateways: Mapping[str, Collection[str]], ctl: Callable[..., str], *, many: bool = False
) -> Done:
    """`gateways` with their sites. Raises ConfigError, ManyError or OSError."""
    wanted = set(gateways)
    for name, sites in gateways.items():
        if not is_gateway(name):
            raise ConfigError(f"{name!r:.80} is not a gateway name: 3 to 64 of a-z, 0-9 and -")
        for site in sites:
            if not re.match(SITE, site):
                raise ConfigError(
                    f"{name}: {site!r:.80} is not a site name: 1 to 64 of a-z, 0-9, _ and -"
                )
    users = _listed(ctl, "list_users")
    held = {each["user"] for each in users if TAG in each["tags"]}
    if others := sorted(wanted & {each["user"] for each in users} - held):
        text = "the cluster's own users: a gateway of this name would have their rights"
        raise ConfigError(f"{', '.join(others)}: {text}; give it another name")
    # held against what they ought to be: a box moves, and an older version gave other rights
    granted, limited = _rights(ctl, "list_permissions"), _rights(ctl, "list_topic_permissions")
    right = {
        name
        for name in wanted & held
        if _has(granted, resources(name)) and _has(limited, topics(name, gateways[name]))
    }
    new, gone = sorted(wanted - right), sorted(held - wanted)
    if len(gone) > max(ENOUGH, len(held) // 10) and not many:
        text = f"{len(gone)} of {len(held)} gateways are not in the list: --many removes them all"
        raise ManyError(text)
    if new:
        # topics first: who has rights on the exchange and none on topics may use them all
        _load(
            ctl,
            {
                "users": [*map(user, new)],
                "topic_permissions": [topics(name, gateways[name]) for name in new],
            },
        )
        _load(ctl, {"permissions": [*map(resources, new)]})
    for name in sorted(held.intersection(new)):
        # an open session remembers what it was allowed: it has to connect again
        ctl("close_all_user_connections", name, "its rights have changed")
    for name in gone:
        ctl("delete_user", name)
    return Done(tuple(new), tuple(gone))


def _rights(ctl: Callable[..., str], what: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for each in _listed(ctl, what):
        found.setdefault(each["user"], []).append(each)
    return found


def _has(rights: Mapping[str, list[dict[str, Any]]], wanted: Mapping[str, str]) -> bool:
    """Whether he has these, and no others."""
    match rights.get(wanted["user"], []):
        case [one]:
            return all(one.get(word, text) == text for word, text in wanted.items())
    return False


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
    done = subprocess.run(
        ["openssl", "crl", "-hash", "-noout", "-in", crl],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if not re.fullmatch(r"[0-9a-f]{8}\n", done.stdout):
        raise OSError(f"{crl}: openssl finds no revocation list in it")
    new = folder / "new"
    shutil.copyfile(crl, new)
    new.replace(folder / f"{done.stdout.strip()}.r0")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--desk", type=Path, metavar="DIR", help="folder of the enrolment server")
    source.add_argument("--names", type=Path, metavar="FILE")
    parser.add_argument("--many", action="store_true", help="allow to remove more than a tenth")
    parser.add_argument("--ctl", type=Path, default=Path("/usr/sbin/rabbitmqctl"), metavar="FILE")
    args = parser.parse_args(arguments)
    try:
        if args.desk is not None:
            found = approved_gateways(args.desk)
        else:
            text = sys.stdin.read() if str(args.names) == "-" else args.names.read_text()
            found = parse_site_list(text, str(args.names))
        done = sync(found, Ctl(args.ctl, os.environ), many=args.many)
    except ConfigError as error:
        echo(str(error), err=True)
        return 2
    except ManyError as error:
        echo(str(error), err=True)
        return 1
    except (OSError, subprocess.TimeoutExpired) as error:
        echo(str(error), err=True)
        return 3
    echo(f"added {len(done.added)}: {' '.join(done.added)}")
    echo(f"removed {len(done.removed)}: {' '.join(done.removed)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
