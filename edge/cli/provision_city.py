"""`kerbstone provision`, of the city: the CA, the server, certificates of brokers and programs."""

import argparse
import contextlib
import signal

from edge.cli.provision_common import print_line, print_result, server_folder, utc_now
from edge.core.signalevent import SignalEvent
from edge.kernelclock import KernelClock
from edge.terminal import echo


def ca(args: argparse.Namespace) -> int:
    from edge.provision import bootstrap

    directory = server_folder(args)
    if args.renew:
        made = bootstrap.renew_server(directory, directory.authority(), args.host, utc_now())
        advice = "restart `serve`"
    else:
        made = bootstrap.bootstrap_server(directory, args.name, args.host, utc_now())
        advice = (
            f"keep {directory.folder / 'operator.key'} at the operator's desk, not on this machine"
        )
    return print_result(args, {"files": [str(each) for each in made]}, *map(str, made), advice)


def issue(args: argparse.Namespace) -> int:
    from edge.provision import issuing
    from edge.provision.registry import NamedKind, time_to_text

    directory = server_folder(args)
    hosts = (*args.dns, *args.ip)
    request = issuing.IssueRequest(NamedKind(args.kind), args.name, hosts, args.csr, args.days)
    with contextlib.closing(directory.store()) as store:
        made = issuing.issue_certificate(
            directory, store, directory.authority(), request, args.out, utc_now()
        )
    files = [str(each) for each in made.written]
    ends = time_to_text(made.named.ends)
    fields = {"kind": args.kind, "name": args.name, "serial": f"{made.named.serial:x}",
            "ends": ends, "files": files}  # fmt: skip
    text = f"the certificate of {args.kind} {args.name} is valid until {ends}"
    text += "; the server keeps no copy of its key"
    return print_result(args, fields, *files, text)


def issued(args: argparse.Namespace) -> int:
    from edge.provision import issuing
    from edge.provision.registry import time_to_text

    with contextlib.closing(server_folder(args).store()) as store:
        found = issuing.newest_by_name(store)
    rows, soon, moment = [], 0, utc_now()
    for each in found:
        ends = "in time" if each.ends > moment + issuing.RENEW_BEFORE else "renew it now"
        soon += ends != "in time"
        rows.append({"kind": str(each.kind), "name": each.name, "serial": f"{each.serial:x}",
                     "ends": time_to_text(each.ends), "say": ends})  # fmt: skip
    lines = ["  ".join(row[w] for w in ("kind", "name", "ends", "say")) for row in rows]
    none = "no broker and no program has a certificate"
    print_result(args, {"issued": rows}, *(lines or [none]))
    return 1 if soon else 0


def broker(args: argparse.Namespace) -> int:
    from edge.provision import brokerexport

    directory = server_folder(args)
    with contextlib.closing(directory.store()) as store:
        done = brokerexport.export_for_broker(
            directory, store, args.name, args.out, args.key, utc_now()
        )
    files = [str(each) for each in done.written]
    todo = "the broker reads the files at SIGHUP: systemctl reload mosquitto"
    if not done.has_key:
        todo = f"put the key of {args.name} into {args.out} as {brokerexport.KEY}"
        todo += "; then start the broker"
    fields = {"files": files, "serial": f"{done.named.serial:x}", "has_key": done.has_key}
    return print_result(args, fields, *files, todo)


def serve(args: argparse.Namespace) -> int:
    from edge.provision.serverprocess import ServerProcess

    directory = server_folder(args)
    stop = SignalEvent()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    server = ServerProcess(directory, KernelClock(), lambda text: echo(text, err=True), args.listen)
    with contextlib.closing(server):
        print_line(f"listening, port {server.port}", 0)
        stop.wait()
    return 0
