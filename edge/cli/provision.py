"""`kerbstone provision`: claims for new boxes, and the server that gives them certificates.

new      write a claim for a box          ca       make a CA, a server's key, an operator's key
pending  boxes that wait for approval     serve    the enrolment server
approve  let a box have its identity      config   sign a box's site.toml
revoke   take it away                     offline  the same by a USB stick
label    the QR code for the case

Exit codes: 0 fine, 1 a finding (another comparison code, a request that is refused), 2 wrong use,
3 the store or the address cannot be had.
"""

import argparse
import contextlib
import json
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.acquire.clock import SystemClock
from edge.core import ConfigError
from edge.provision.rows import FOLDER, REASONS

if TYPE_CHECKING:
    from edge.provision.home import Home

DAYS = 28


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "provision", help="claims for new boxes, and the server that gives them certificates",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.set_defaults(run=run)
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    _desk(acts)
    _server(acts)


def _desk(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    new = _act(acts, "new", _new, "write a claim for a box; --out is the card's boot partition")
    for name in ("site", "role", "gateway"):
        new.add_argument(f"--{name}", required=True, metavar="NAME")
    new.add_argument("--enrol", required=True, metavar="URL", help="https://host:8443")
    new.add_argument("--broker", required=True, metavar="URL", help="mqtts://host:8883")
    new.add_argument("--ca", type=Path, required=True, metavar="FILE")
    new.add_argument("--key", type=Path, required=True, metavar="FILE", help="operator's key")
    new.add_argument("--out", type=Path, required=True, metavar="DIR")
    new.add_argument("--label", default="kerbstone", help=argparse.SUPPRESS)
    new.add_argument("--days", type=int, default=DAYS, help=f"until it ends (default {DAYS})")
    new.add_argument("--network", action="append", default=[], metavar="KEY=VALUE",
                     help="kind=wifi, ssid=..., psk=@FILE: see docs/provision.md")  # fmt: skip
    config = _act(acts, "config", _config, "sign a box's site.toml, for the server's configs/")
    config.add_argument("file", type=Path)
    config.add_argument("--gateway", required=True, metavar="NAME")
    config.add_argument("--key", type=Path, required=True, metavar="FILE")
    config.add_argument("--out", type=Path, required=True, metavar="DIR")


def _server(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    found = _home(_act(acts, "ca", _ca, "make a CA, a server's certificate, an operator's key"))
    found.add_argument("--name", default="Kerbstone CA")
    found.add_argument("--host", action="append", required=True, help="of the server; repeatable")
    found.add_argument("--renew", action="store_true", help="only the server's certificate")
    _home(_act(acts, "pending", _pending, "boxes that wait for approval"))
    approve = _home(_act(acts, "approve", _approve, "let a box have its identity"))
    approve.add_argument("id", help="claim, or the gateway's name")
    approve.add_argument("--code", metavar="XXXX-XXXX", help="what the box shows")
    revoke = _home(_act(acts, "revoke", _revoke, "refuse a box, or take its identity away"))
    revoke.add_argument("id", help="claim, or the gateway's name")
    revoke.add_argument("--reason", choices=REASONS, default=REASONS[1])
    label = _home(_act(acts, "label", _label, "the QR code for the case; it holds no secret"))
    label.add_argument("id", help="claim, or the gateway's name")
    label.add_argument("--out", type=Path, metavar="FILE", help="NAME.svg or NAME.png")
    stick = _home(_act(acts, "offline", _offline, "sign what a box put on a USB stick"))
    stick.add_argument("stick", type=Path, metavar="DIR")
    stick.add_argument("--code", metavar="XXXX-XXXX", help="what the box shows")
    serve = _home(_act(acts, "serve", _serve, "the enrolment server, until a signal ends it"))
    serve.add_argument("--listen", metavar="HOST:PORT")


def _act(acts: Any, name: str, call: Callable[..., int], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = acts.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", help="the result as one line of JSON")
    parser.set_defaults(call=call)
    return parser


def _home(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--dir", type=Path, default=Path(FOLDER), metavar="DIR",
                        help=f"the server's folder (default {FOLDER})")  # fmt: skip
    return parser


def run(args: argparse.Namespace) -> int:
    try:
        from edge.provision.counter import CodeError, DeniedError
        from edge.provision.store import StoreError
    except ImportError as error:
        return _say(f"{error}: install the extra `sign`: pip install kerbstone[sign]", 2)
    try:
        return int(args.call(args))
    except (CodeError, DeniedError) as error:
        return _say(str(error), 1)
    except ConfigError as error:
        return _say(str(error), 2)
    except (StoreError, OSError) as error:
        return _say(str(error), 3)


def _new(args: argparse.Namespace) -> int:
    from edge.provision import files, paper

    names = ("site", "role", "gateway", "enrol", "broker", "label")
    fields = {name: getattr(args, name) for name in names}
    fields["ca"] = files.read(args.ca, "certificate of the CA").decode(errors="replace")
    fields["network"] = paper.network(args.network)
    made = paper.new_claim(args.out, paper.operator_key(args.key), fields, _now(), args.days)
    said = {"file": str(made.path), "claim": made.claim.claim, "gateway": made.claim.gateway,
            "expires": made.claim.expires, "label": made.label}  # fmt: skip
    return _result(args, said, f"{made.label}written to {made.path}")


def _config(args: argparse.Namespace) -> int:
    from edge.provision import paper

    path = paper.sign_config(args.file, args.gateway, paper.operator_key(args.key), args.out)
    return _result(args, {"file": str(path)}, f"written and signed: {path}")


def _ca(args: argparse.Namespace) -> int:
    from edge.provision import founding

    home = _folder(args)
    if args.renew:
        made = founding.renew_server(home, home.authority(), args.host, _now())
        advice = "start `serve` again"
    else:
        made = founding.found(home, args.name, args.host, _now())
        advice = f"keep {home.folder / 'operator.key'} at the operator's desk, not on this machine"
    return _result(args, {"files": [str(each) for each in made]},
                   "\n".join([*map(str, made), advice]))  # fmt: skip


def _pending(args: argparse.Namespace) -> int:
    from edge.provision import counter

    with contextlib.closing(_folder(args).store()) as store:
        rows = [counter.told(row) for row in store.pending()]
    words = ("code", "gateway", "site", "role", "claim", "asked", "from")
    text = "\n".join("  ".join(row[word] for word in words) for row in rows)
    return _result(args, {"pending": rows}, text or "no box waits")


def _approve(args: argparse.Namespace) -> int:
    from edge.provision import counter

    home = _folder(args)
    with contextlib.closing(home.store()) as store:
        done = counter.approve(home, store, args.id, args.code, _now())
    return _decided(args, done)


def _revoke(args: argparse.Namespace) -> int:
    from edge.provision import counter

    home = _folder(args)
    with contextlib.closing(home.store()) as store:
        done = counter.revoke(home, store, args.id, args.reason, _now())
    return _decided(args, done)


def _offline(args: argparse.Namespace) -> int:
    from edge.provision import counter

    home = _folder(args)
    with contextlib.closing(home.store()) as store:
        done = counter.offline(home, store, args.stick, args.code, _now)
    return _decided(args, done)


def _label(args: argparse.Namespace) -> int:
    from edge.provision import counter, paper

    home = _folder(args)
    with contextlib.closing(home.store()) as store:
        row = counter.choose(store, args.id)
    text = paper.label(home.policy().page, row.gateway, row.spki)
    if args.out is not None and not paper.draw(text, args.out):
        _say("no QR code is drawn without the package `segno`: take the text", 0)
    return _result(args, {"label": text, "gateway": row.gateway}, text)


def _serve(args: argparse.Namespace) -> int:
    from edge.provision.running import Running

    home = _folder(args)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    server = Running(home, _now, lambda text: print(text, file=sys.stderr, flush=True), args.listen)
    with contextlib.closing(server):
        _say(f"listening, port {server.port}", 0)
        stop.wait()
    return 0


def _decided(args: argparse.Namespace, done: Any) -> int:
    from edge.provision import counter

    row = counter.told(done.row)
    ended = [f"{each.serial:x}" for each in done.revoked]
    text = f"{row['gateway']} ({row['site']} {row['role']}) is {row['state']}, code {row['code']}"
    for each in done.revoked:
        text += f"\nrevoked: {each.serial:x} of {each.gateway} ({each.site} {each.role})"
    return _result(args, {**row, "revoked": ended}, text)


def _folder(args: argparse.Namespace) -> "Home":
    from edge.provision.home import Home

    return Home(args.dir)


def _now() -> datetime:
    return datetime.fromtimestamp(SystemClock().now().wall_ns / 1_000_000_000, UTC)


def _result(args: argparse.Namespace, said: dict[str, Any], text: str) -> int:
    print(json.dumps(said) if args.json else text, flush=True)
    return 0


def _say(text: str, code: int) -> int:
    print(f"kerbstone provision: {text}", file=sys.stderr)
    return code
