"""`kerbstone models [list | check [DIR] | compare A B ...]`: list, check and compare the models.

`list` (or nothing) shows each bundle, what it costs on this machine and, where the daemon runs, how
it performs. `check` checks bundles and says what to do. `compare` runs two bundles over recorded
input and says where their flags differ. Exit codes: 0 fine, 1 a finding, 2 wrong use.
"""

import argparse
import csv
import dataclasses
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from edge.cli import score
from edge.cli.site_options import load_site_or_report
from edge.config import Site
from edge.control.protocol import VerbError, ask_daemon
from edge.core.boxfiles import find_site_file
from edge.infer.bundlecheck import BundleReport, bundles_in, check_bundle
from edge.infer.bundlemanifest import BundleManifest, ModelError
from edge.infer.modelsession import ModelSession
from edge.infer.scorer import Sample, compare_series
from edge.report.status.bundles import agreement_lines, bundle_lines, live_model_lines
from edge.terminal import echo, echo_json
from models import BUNDLES

SHOWN: Final = 20  # differences of one series in full; the rest is counted


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "models", help="list, check and compare the models",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    _common(parser, argparse.SUPPRESS)
    parser.set_defaults(run=_list, config=None, json=False)
    parts = parser.add_subparsers(metavar="list|check|compare")
    listed = parts.add_parser("list", help="each bundle and how it performs")
    listed.set_defaults(run=_list)
    checked = parts.add_parser("check", help="check bundles")
    checked.add_argument("folder", nargs="?", type=Path, metavar="DIR", help="a bundle, or several")
    checked.set_defaults(run=_check)
    compared = parts.add_parser("compare", help="two bundles over recorded input")
    compared.add_argument("a", type=Path, metavar="A", help="folder of a bundle")
    compared.add_argument("b", type=Path, metavar="B", help="folder of the other bundle")
    compared.add_argument("--series", nargs="+", type=Path, metavar="CSV",
                          help="series to compare: timestamp,value")  # fmt: skip
    compared.add_argument("--edges", type=Path, metavar="CSV",
                          help="recorded edges: t_ms,line,level; needs --config")  # fmt: skip
    compared.set_defaults(run=_compare)
    for part in (listed, checked, compared):
        _common(part, argparse.SUPPRESS)


def _common(parser: argparse.ArgumentParser, default: Any) -> None:
    parser.add_argument(
        "--config", type=Path, default=default, metavar="FILE", help="the site file"
    )
    parser.add_argument("--json", action="store_true", default=default, help="output as JSON")


def _list(args: argparse.Namespace) -> int:
    site, code = _site(args.config)
    if code:
        return code
    folder = _folder(site)
    asked, why = _status(site)
    status = asked or {}
    proofs = [check_bundle(path) for path in bundles_in(folder)]
    shown = [p.manifest.name for p in proofs if p.manifest]
    if args.json:
        echo_json({"bundles": [_fields(p) for p in proofs], "live": asked, "live_error": why})
        return 0 if proofs and all(p.is_sound for p in proofs) else 1
    for proof in proofs:
        echo(*bundle_lines(proof))
        name = proof.manifest.name if proof.manifest else ""
        if name in status and proof.folder.name == name:
            echo(*(f"  live: {line}" for line in live_model_lines(status[name])))
    for name in status.keys() - shown:
        echo(f"{name}: no bundle", *(f"  live: {t}" for t in live_model_lines(status[name])))
    shipped = "shipped with this command; no site file was read"
    echo((why or "as the daemon reports") if site else shipped)
    if not proofs:
        return _fail(f"{folder}: no bundle is in it", 1)
    return 0 if all(p.is_sound for p in proofs) else 1


def _check(args: argparse.Namespace) -> int:
    folder = args.folder
    if folder is None:
        site, code = _site(args.config)
        if code:
            return code
        folder = _folder(site)
    proofs = [check_bundle(path) for path in bundles_in(folder)]
    if not proofs:
        return _fail(f"{folder}: no bundle is in it: a bundle is a folder with manifest.json", 2)
    for proof in proofs:
        if args.json:
            echo_json(_fields(proof))
        else:
            echo(*bundle_lines(proof))
    wrong = sum(not proof.is_sound for proof in proofs)
    if not args.json:
        echo(f"{len(proofs)} checked: {'all can be used' if not wrong else f'{wrong} cannot'}")
    return 1 if wrong else 0


def _compare(args: argparse.Namespace) -> int:
    if (args.series is None) == (args.edges is None):
        return _fail("compare needs --series CSV..., or --edges CSV with --config FILE", 2)
    try:
        names = {_usable(path).name for path in (args.a, args.b)}
        if len(names) > 1:
            return _fail(
                f"{' and '.join(sorted(names))} are different models: compare versions of one", 2
            )
        if args.edges is not None:
            return _over_edges(args, names.pop())
        if names != {"anomaly"}:
            return _fail(f"{names.pop()} works on edges: give --edges CSV and --config FILE", 2)
        return 1 if any([_over_series(args, path) for path in args.series]) else 0
    except ModelError as error:
        return _fail(f"{error}{': ' + error.do if error.do else ''}", 2)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        return _fail(str(error), 2)


def _usable(bundle: Path) -> BundleManifest:
    """Of a bundle that loads here. Raises ModelError for another: its rule would answer for it."""
    try:
        return ModelSession(bundle).manifest
    except ModelError as error:
        raise ModelError(f"{bundle} cannot be compared: {error}", error.do) from error


def _over_series(args: argparse.Namespace, path: Path) -> bool:
    """True when the flags differ somewhere."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = [cell.strip() for cell in next(reader, [])]
        if header != score.HEADER:
            raise csv.Error(f"{path}: the first line must be timestamp,value, not {header}")
        report = compare_series(args.a, args.b, _samples(reader))
    differs = [dataclasses.asdict(one) for one in report.differs]
    if args.json:
        echo_json({"series": str(path), **report.counts, "differs": differs})
        return bool(differs)
    echo(f"{path}: {agreement_lines(report.counts, 'A', 'B')}")
    for one in report.differs[:SHOWN]:
        echo(f"  from {one.timestamp}: A {_flag(one.a, one.a_onset)}, "
             f"B {_flag(one.b, one.b_onset)}")  # fmt: skip
    if len(differs) > SHOWN:
        echo(f"  and {len(differs) - SHOWN} more")
    return bool(differs)


def _samples(reader: Any) -> Iterator[Sample]:
    """As `kerbstone score` reads them: what it would leave out is left out."""
    for _line, stamp, text, value in score.read_series(reader):
        if value is not None or text.lower() in score.MISSING:
            yield stamp, value


def _over_edges(args: argparse.Namespace, name: str) -> int:
    from edge.gateway.replaying import (  # the whole daemon: only where it is needed
        flag_differences,
        replay_flags,
    )

    if args.config is None:
        return _fail("--edges needs --config FILE: the site that they were recorded at", 2)
    site = load_site_or_report(args.config)
    if site is None:
        return 2
    if not getattr(site.models, name, True):
        return _fail(
            f"{args.config} switches {name} off, so neither would judge: give a copy with {name} = "
            "true under [models]", 2,
        )  # fmt: skip
    report = flag_differences(
        replay_flags(site, args.edges, args.a), replay_flags(site, args.edges, args.b)
    )
    differ = bool(report["only_a"] or report["only_b"])
    if args.json:
        echo_json({"edges": str(args.edges), **report})
        return int(differ)
    echo(f"{args.edges}: A turned flags {report['turns_a']} times, B {report['turns_b']} times; p "
         f"differs by {report['difference']} on average, {report['largest']} at most")  # fmt: skip
    for word in ("a", "b"):
        for turn in report[f"only_{word}"][:SHOWN]:
            echo(f"  only {word.upper()}: {turn['event']} {turn['source']} {turn['point']} "
                 f"{turn['state']} at {turn['at_s']:g} s "
                 f"(decided by the {turn['by']})")  # fmt: skip
        if (more := len(report[f"only_{word}"]) - SHOWN) > 0:
            echo(f"  and {more} more of {word.upper()} alone")
    return int(differ)


def _site(config: Path | None) -> tuple[Site | None, int]:
    """The site that was named, or the gateway's own; none, where there is none. And an exit code"""
    file = config or find_site_file()
    if config is None and not file.is_file():
        return None, 0
    site = load_site_or_report(file)
    return site, 0 if site else 2


def _folder(site: Site | None) -> Path:
    return Path(site.models.dir) if site is not None and site.models.dir else BUNDLES


def _status(site: Site | None) -> tuple[dict[str, object] | None, str]:
    """What the daemon says of its models; or None, and why not."""
    if site is None:
        return None, ""
    try:
        status = ask_daemon(Path(site.store.run_dir), "status")
    except (VerbError, OSError) as error:
        return None, str(error)
    if status is None:
        return None, "the daemon does not run: how they perform is not known"
    return dict(status.get("models") or {}), ""


def _fields(report: BundleReport) -> dict[str, object]:
    known = report.manifest
    return {
        "folder": str(report.folder),
        "name": known.name if known else None,
        "version": known.version if known else None,
        "sha256": known.sha256 if known else None,
        "bytes": report.bytes,
        "inputs": dict(known.inputs) if known else None,
        "outputs": {o.name: o.width for o in known.outputs} if known else None,
        "training": dict(known.training) if known else None,
        "golden": report.golden,
        "ms": report.ms,
        "ms_64": report.batch_ms,
        "mb": report.grew_mb,
        "ok": report.is_sound,
        "faults": [dataclasses.asdict(fault) for fault in report.faults],
    }


def _flag(raised: bool, onset: float) -> str:
    return f"{'on' if raised else 'off'} ({onset:g})"


def _fail(text: str, code: int) -> int:
    echo(f"kerbstone models: {text}", err=True)
    return code
