"""`kerbstone provision`, of the city: the CA, the server, certificates of brokers and programs."""

import argparse
import contextlib
import signal
import threading

from edge.cli.provision_said import folder, now, result, say
from edge.terminal import echo


def ca(args: argparse.Namespace) -> int:
    from edge.provision import founding

    home = folder(args)
    if args.renew:
        made = founding.renew_server(home, home.authority(), args.host, now())
        advice = "start `serve` again"
    else:
        made = founding.found(home, args.name, args.host, now())
        advice = f"keep {home.folder / 'operator.key'} at the operator's desk, not on this machine"
    return result(args, {"files": [str(each) for each in made]}, *map(str, made), advice)


def issue(args: argparse.Namespace) -> int:
    from edge.provision import issuing
    from edge.provision.rows import Kind, to_text

    home = folder(args)
    hosts = (*args.dns, *args.ip)
    wanted = issuing.Wanted(Kind(args.kind), args.name, hosts, args.csr, args.days)
    with contextlib.closing(home.store()) as store:
        made = issuing.issue(home, store, home.authority(), wanted, args.out, now())
    files = [str(each) for each in made.written]
    ends = to_text(made.named.ends)
    fields = {"kind": args.kind, "name": args.name, "serial": f"{made.named.serial:x}",
            "ends": ends, "files": files}  # fmt: skip
    text = f"{args.kind} {args.name} until {ends}; the server keeps no key of it"
    return result(args, fields, *files, text)


def issued(args: argparse.Namespace) -> int:
    from edge.provision import issuing
    from edge.provision.rows import to_text

    with contextlib.closing(folder(args).store()) as store:
        found = issuing.newest(store)
    rows, soon, moment = [], 0, now()
    for each in found:
        ends = "in time" if each.ends > moment + issuing.SOON else "renew it now"
        soon += ends != "in time"
        rows.append({"kind": str(each.kind), "name": each.name, "serial": f"{each.serial:x}",
                     "ends": to_text(each.ends), "say": ends})  # fmt: skip
    lines = ["  ".join(row[w] for w in ("kind", "name", "ends", "say")) for row in rows]
    none = "no broker and no program has a certificate"
    result(args, {"issued": rows}, *(lines or [none]))
    return 1 if soon else 0


def broker(args: argparse.Namespace) -> int:
    from edge.provision import export

    home = folder(args)
    with contextlib.closing(home.store()) as store:
        done = export.put(home, store, args.name, args.out, args.key, now())
    files = [str(each) for each in done.written]
    todo = "the broker reads it at SIGHUP: systemctl reload mosquitto"
    if not done.has_key:
        todo = f"put the key of {args.name} beside it as {export.KEY}; then start the broker"
    fields = {"files": files, "serial": f"{done.named.serial:x}", "has_key": done.has_key}
    return result(args, fields, *files, todo)


def serve(args: argparse.Namespace) -> int:
    from edge.provision.running import Running

    home = folder(args)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    server = Running(home, now, lambda text: echo(text, err=True), args.listen)
    with contextlib.closing(server):
        say(f"listening, port {server.port}", 0)
        stop.wait()
    return 0
