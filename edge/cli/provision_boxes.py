"""`kerbstone provision`, of boxes: claims, configurations, approval, revocation, labels."""

import argparse
import contextlib
from typing import Any

from edge.cli.provision_said import folder, now, result, say
from edge.cli.site import site_of


def new(args: argparse.Namespace) -> int:
    from edge.provision import files, paper

    names = ("site", "role", "gateway", "enrol", "broker", "label")
    fields = {name: getattr(args, name) for name in names}
    fields["ca"] = files.read(args.ca, "certificate of the CA").decode(errors="replace")
    fields["network"] = paper.network(args.network)
    made = paper.new_claim(args.out, paper.operator_key(args.key), fields, now(), args.days)
    shown = {"file": str(made.path), "claim": made.claim.claim, "gateway": made.claim.gateway,
            "expires": made.claim.expires, "label": made.label}  # fmt: skip
    return result(args, shown, *made.label.splitlines(), f"written to {made.path}")


def config(args: argparse.Namespace) -> int:
    from edge.provision import paper

    if site_of(args.file) is None:  # a box would get a file that its daemon refuses
        return 2
    key = paper.operator_key(args.key)
    path, serial = paper.sign_config(args.file, args.gateway, key, args.out, now(), args.after)
    fields = {"file": str(path), "gateway": args.gateway, "serial": serial}
    return result(args, fields, f"written and signed, number {serial}: {path}")


def pending(args: argparse.Namespace) -> int:
    from edge.provision import counter

    with contextlib.closing(folder(args).store()) as store:
        rows = [counter.told(row) for row in store.pending()]
    words = ("code", "gateway", "site", "role", "claim", "asked", "from")
    lines = ["  ".join(row[word] for word in words) for row in rows]
    return result(args, {"pending": rows}, *(lines or ["no box waits"]))


def approve(args: argparse.Namespace) -> int:
    from edge.provision import counter

    home = folder(args)
    with contextlib.closing(home.store()) as store:
        done = counter.approve(home, store, args.id, args.code, now())
    return _decided(args, done)


def revoke(args: argparse.Namespace) -> int:
    """A box, or a broker or program: no two of them have one name."""
    from edge.provision import counter, issuing

    home = folder(args)
    with contextlib.closing(home.store()) as store:
        if not store.roll.find(args.id):
            return _decided(args, counter.revoke(home, store, args.id, args.reason, now()))
        ended = issuing.revoke(home, store, args.id, args.reason, now())
    serials = [f"{each.serial:x}" for each in ended]
    lines = [f"revoked: {each} of {args.id}" for each in serials]
    fields = {"name": args.id, "revoked": serials}
    return result(args, fields, *(lines or [f"{args.id} has nothing left"]))


def offline(args: argparse.Namespace) -> int:
    from edge.provision import counter

    home = folder(args)
    with contextlib.closing(home.store()) as store:
        done = counter.offline(home, store, args.stick, args.code, now)
    return _decided(args, done)


def label(args: argparse.Namespace) -> int:
    from edge.provision import counter, paper

    home = folder(args)
    with contextlib.closing(home.store()) as store:
        row = counter.choose(store, args.id)
    text = paper.label(home.policy().page, row.gateway, row.spki)
    wanted = args.out is not None
    if wanted and not paper.draw(text, None if str(args.out) == "-" else args.out):
        say("no QR code is drawn without the package `segno`: take the text", 0)
    return result(args, {"label": text, "gateway": row.gateway}, text)


def _decided(args: argparse.Namespace, done: Any) -> int:
    from edge.provision import counter

    row = counter.told(done.row)
    ended = [f"{each.serial:x}" for each in done.revoked]
    text = f"{row['gateway']} ({row['site']} {row['role']}) is {row['state']}, code {row['code']}"
    revoked = [
        f"revoked: {each.serial:x} of {each.gateway} ({each.site} {each.role})"
        for each in done.revoked
    ]
    return result(args, {**row, "revoked": ended}, text, *revoked)
