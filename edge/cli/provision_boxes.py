"""`kerbstone provision`, of boxes: claims, configurations, approval, revocation, labels."""

import argparse
import contextlib
from typing import Any

from edge.cli.provision_common import print_line, print_result, server_folder, utc_now
from edge.cli.site_options import load_site_or_report
from edge.core import ConfigError
from edge.kernelclock import KernelClock


def new(args: argparse.Namespace) -> int:
    from edge.identity.pageaccess import make_access
    from edge.provision import boxlabel, operatordocs, operatorfiles

    names = ("site", "role", "gateway", "enrol", "broker", "label")
    fields = {name: getattr(args, name) for name in names}
    fields["ca"] = operatorfiles.read_file(args.ca, "certificate of the CA").decode(
        errors="replace"
    )
    fields["network"] = operatordocs.parse_network(args.network)
    access, secret = (None, "") if args.without_access else make_access()
    fields["access"] = access
    made = operatordocs.new_claim(
        args.out, operatordocs.operator_key(args.key), fields, utc_now(), args.days
    )
    shown = {"file": str(made.path), "claim": made.claim.claim, "gateway": made.claim.gateway,
            "expires": made.claim.expires, "label": made.label}  # fmt: skip
    lines = [*made.label.splitlines(), f"written to {made.path}"]
    if access is not None:  # never on the card, and never on the terminal
        try:
            shown["access"] = str(boxlabel.keep_label(args.labels, made.claim, secret))
        except ConfigError:
            made.path.unlink()  # a claim whose secrets nobody has
            raise
        lines.append(f"Wi-Fi key and page secret, for the label only: {shown['access']}")
    return print_result(args, shown, *lines)


def config(args: argparse.Namespace) -> int:
    from edge.provision import operatordocs

    if load_site_or_report(args.file) is None:  # a box would get a file that its daemon refuses
        return 2
    key = operatordocs.operator_key(args.key)
    path, serial = operatordocs.sign_config(
        args.file, args.gateway, key, args.out, utc_now(), args.after
    )
    fields = {"file": str(path), "gateway": args.gateway, "serial": serial}
    return print_result(args, fields, f"written and signed, number {serial}: {path}")


def pending(args: argparse.Namespace) -> int:
    from edge.provision import approvals

    with contextlib.closing(server_folder(args).store()) as store:
        rows = [approvals.request_map(row) for row in store.pending()]
    words = ("code", "gateway", "site", "role", "claim", "asked", "from")
    lines = ["  ".join(row[word] for word in words) for row in rows]
    return print_result(args, {"pending": rows}, *(lines or ["no box waits for approval"]))


def approve(args: argparse.Namespace) -> int:
    from edge.provision import approvals

    directory = server_folder(args)
    with contextlib.closing(directory.store()) as store:
        done = approvals.approve_request(directory, store, args.id, args.code, utc_now())
    return _decided(args, done)


def revoke(args: argparse.Namespace) -> int:
    """A box, or a broker or program: no two of them have one name."""
    from edge.provision import approvals, issuing

    directory = server_folder(args)
    with contextlib.closing(directory.store()) as store:
        if not store.registry.find(args.id):
            return _decided(
                args, approvals.revoke_box(directory, store, args.id, args.reason, utc_now())
            )
        ended = issuing.revoke_named(directory, store, args.id, args.reason, utc_now())
    serials = [f"{each.serial:x}" for each in ended]
    lines = [f"revoked: {each} of {args.id}" for each in serials]
    fields = {"name": args.id, "revoked": serials}
    return print_result(args, fields, *(lines or [f"{args.id} has no valid certificate"]))


def offline(args: argparse.Namespace) -> int:
    from edge.provision import approvals

    directory = server_folder(args)
    with contextlib.closing(directory.store()) as store:
        done = approvals.sign_offline(directory, store, args.stick, args.code, KernelClock())
    return _decided(args, done)


def label(args: argparse.Namespace) -> int:
    if args.access is not None:
        return _door_label(args)
    if args.id is None:
        return print_line("name a box, or the file of `provision new` with --access", 2)
    from edge.provision import approvals, operatordocs

    directory = server_folder(args)
    with contextlib.closing(directory.store()) as store:
        row = approvals.choose_request(store, args.id)
    text = operatordocs.label_text(directory.policy().page, row.gateway, row.spki)
    wanted = args.out is not None
    if wanted and not operatordocs.draw_qr(text, None if str(args.out) == "-" else args.out):
        print_line("without the package `segno` no QR code is drawn: use the text", 0)
    return print_result(args, {"label": text, "gateway": row.gateway}, text)


def _door_label(args: argparse.Namespace) -> int:
    """At the desk: no server, no box."""
    from edge.provision import boxlabel

    found = boxlabel.load_label(args.access)
    if args.out is None:
        return print_line("--out NAME.html says where the page to print goes", 2)
    boxlabel.write_label_page(found, args.out)
    return print_result(
        args, {"gateway": found.gateway, "network": found.network, "file": str(args.out)},
        f"{found.gateway}, Wi-Fi {found.network}: print {args.out}, then delete it",
    )  # fmt: skip


def _decided(args: argparse.Namespace, done: Any) -> int:
    from edge.provision import approvals

    row = approvals.request_map(done.row)
    ended = [f"{each.serial:x}" for each in done.revoked]
    text = f"{row['gateway']} ({row['site']} {row['role']}) is {row['state']}, code {row['code']}"
    revoked = [
        f"revoked: {each.serial:x} of {each.gateway} ({each.site} {each.role})"
        for each in done.revoked
    ]
    return print_result(args, {**row, "revoked": ended}, text, *revoked)
