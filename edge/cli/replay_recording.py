"""`kerbstone replay RECORDING --config FILE`: is what the gateway said still said, bit for bit?"""

import argparse
import re
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Final

from edge import wire
from edge.cli.site_options import load_site_or_report
from edge.config import Site
from edge.config.maskedtext import mask_secrets
from edge.core import ConfigError, Draft, Envelope, Record, RecordKey, Stream, TimeQuality
from edge.durable.atomicwrite import replace_file
from edge.durable.readfile import read_file
from edge.gateway.recordingfile import RecordingError, read_head, without_frames
from edge.gateway.recordingreplay import ReplayedWindow, check_recording, replay_recording
from edge.terminal import echo
from edge.wire.contract.body import body_map

GATEWAY: Final = "replay"
SHOWN: Final = 20  # differences in full; the rest is counted
TEST_NAME: Final = re.compile(r"test_[A-Za-z0-9_]{1,64}\.py")
MODE: Final = 0o644
TEST: Final = '''"""A recording through the code of the daemon: its records are the same.

Made by `kerbstone replay`. Frozen because of:
{reasons}
"""

from pathlib import Path

from edge.gateway.recordingreplay import check_recording

HERE = Path(__file__).parent


def test_the_records_are_the_same() -> None:
    assert check_recording(HERE / "{stem}.site.toml", HERE / "{stem}.rec") == []
'''


def run(args: argparse.Namespace) -> int:
    """0: the same, 1: something differs, 2: wrong use, or no recording of this site."""
    site = load_site_or_report(args.config)
    if site is None:
        return 2
    if args.test is not None and not TEST_NAME.fullmatch(args.test.name):
        return _wrong(f"--test {args.test}: name it test_SOMETHING.py, so that pytest finds it")
    try:
        windows, records, found = 0, 0, list[str]()
        offset_ns = read_head(args.recording).wall_offset_ns
        numbers: Mapping[Stream, Iterator[int]] = {stream: count(1) for stream in Stream}
        for window in replay_recording(site, args.recording):
            windows, records = windows + 1, records + len(window.drafts)
            found += window.differences()
            if not args.quiet:
                for line in _payloads(window, numbers, offset_ns):
                    echo(line, fold=False, flush=False)
        if found:
            more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
            _wrong("\n".join([f"{args.recording}: not the same:", *found[:SHOWN], *more]))
            return 1
        echo(
            f"{args.recording}: {records} records of {windows} windows are the same, bit for bit",
            err=True,
        )
        return 0 if args.test is None else _write_test(args, site)
    except (OSError, RecordingError) as error:
        text = error.strerror or error if isinstance(error, OSError) else error
        return _wrong(f"{args.recording}: {text}")


def _payloads(
    window: ReplayedWindow, numbers: Mapping[Stream, Iterator[int]], offset_ns: int | None
) -> Iterator[str]:
    for draft in window.drafts:
        yield _payload(draft, next(numbers[draft.stream]), offset_ns)


def _payload(draft: Draft, number: int, offset_ns: int | None) -> str:
    """As `kerbstone replay --edges` prints it: numbers from 1, epoch and boot 0."""
    at = offset_ns or 0
    quality = TimeQuality.NONE if offset_ns is None else TimeQuality.NTP
    envelope = Envelope(at + draft.from_ns, at + draft.to_ns, quality)
    key = RecordKey(0, draft.stream, number)
    record = Record(key, draft.source, 0, draft.from_ns, draft.to_ns, body_map(draft.body))
    return wire.encode(record, envelope, GATEWAY, "json").data.decode()


def _write_test(args: argparse.Namespace, site: Site) -> int:
    """Beside the test lie the recording without the bytes on buses, and the site file without its
    secrets; together they pass."""
    test: Path = args.test
    stem = test.name.removeprefix("test_").removesuffix(".py")
    recording, file = (test.with_name(f"{stem}.{end}") for end in ("rec", "site.toml"))
    for path in (test, recording, file):
        if path.exists():
            return _wrong(f"{path} is there already; nothing was written")
    reasons = "\n".join(f"- {why}" for why in read_head(args.recording).reasons)
    text = TEST.format(stem=stem, reasons=reasons.replace("\\", "/").replace('"', "'"))
    written = (read_file(args.config) or b"").decode()
    replace_file(recording, without_frames(args.recording), MODE)
    replace_file(file, mask_secrets(written).encode(), MODE)
    replace_file(test, text.encode(), MODE)
    try:
        if not check_recording(file, recording):
            echo(f"{test}, {recording} and {file} are written, and the test passes", err=True)
            return 0
        why = "its records are not the same"
    except (ConfigError, RecordingError) as error:
        why = str(error)
    return _wrong(f"{test} is written and does not pass without the secrets: {why}")


def _wrong(text: str) -> int:
    echo(*(f"kerbstone replay: {line}" for line in text.split("\n")), err=True)
    return 2
