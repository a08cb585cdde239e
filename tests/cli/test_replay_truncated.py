"""A record says nothing of what comes after its window: a shorter file gives the same beginning,
and what is fed as the daemon feeds it gives the same records."""

import gzip
import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import drivers
import edge.demo
from edge.config import load_site
from edge.core import Contact, Draft, Edge, Record, Sweep
from edge.gateway.ingest import Ingest
from edge.gateway.pipeline import Pipeline
from edge.gateway.replaying import Replay
from edge.gateway.urgentevents import UrgentEvents
from edge.gateway.wiring import Wiring
from edge.recordings.edgefile import read_edge_rows
from tests.kit.asread import as_read
from tests.kit.clock import VirtualClock
from tests.kit.ports import CountedRetained
from tests.long import examples

ROOT = Path(__file__).parents[2]
TRACE = Path(edge.demo.__file__).parent / "trace.csv.gz"
SITE = ROOT / "deploy" / "demo.toml"
PERIOD_NS = 5_000_000_000
FEW = settings(max_examples=examples(3), deadline=None)  # each is the whole trace
Said = tuple[str, str, int, int, object]


@cache
def text() -> list[str]:
    return gzip.decompress(TRACE.read_bytes()).decode().splitlines()


def parts() -> tuple[Wiring, Pipeline]:
    wiring = Wiring.of(load_site(SITE, drivers.catalogue()))
    pipeline = wiring.pipeline(replayed=True)
    pipeline.load()
    return wiring, pipeline


def replayed(lines: Sequence[str]) -> list[Record]:
    wiring, pipeline = parts()
    return list(Replay(pipeline, wiring, PERIOD_NS).run(read_edge_rows(source(lines))))


def source(lines: Sequence[str]) -> io.StringIO:
    return io.StringIO("".join(f"{line}\n" for line in lines))


@cache
def whole() -> list[Record]:
    return replayed(text())


@cache
def opened() -> tuple[str, ...]:
    """The lines of the trace. They stand at rest when it begins."""
    return tuple(sorted({edge.line for edge in found()}))


@cache
def with_levels() -> list[Record]:
    """Of the trace with a row at 0 for each line: how the kernel finds it."""
    return replayed([text()[0], *(f"0,{line},0" for line in opened()), *text()[1:]])


@cache
def found() -> tuple[Edge, ...]:
    return tuple(row.edge for row in read_edge_rows(source(text())) if row.edge is not None)


@pytest.mark.long
@FEW
@given(st.integers(8, 3000))
def test_cutting_the_file_short_changes_no_record_before_the_cut(count: int) -> None:
    """With all models: it says nothing of what comes after its windows."""
    count = min(count, len(text()))
    short = replayed(text()[:count])
    last_ns = float(text()[count - 1].split(",")[0]) * 1e6
    until_ns = int(last_ns // PERIOD_NS * PERIOD_NS)  # the window in which it ends is open
    assert [r for r in short if r.to_ns <= until_ns] == [
        r for r in whole() if r.to_ns <= until_ns
    ]  # fmt: skip
    assert any(r.to_ns <= until_ns for r in short)


class NoStage:
    """Keeps nothing: there is no disk here."""

    def add_contacts(self, contacts: Sequence[Contact]) -> None: ...

    def add_sweeps(self, sweeps: Sequence[Sweep]) -> None: ...


def said(drafts: Sequence[Draft | Record]) -> list[Said]:
    """All but the numbers."""
    return [
        (str(d.stream if isinstance(d, Draft) else d.key.stream), d.source, d.from_ns, d.to_ns,
         as_read(d))
        for d in drafts
    ]  # fmt: skip


@pytest.mark.long
@FEW
@given(st.lists(st.integers(1, 400), min_size=1, max_size=20))
def test_edges_that_come_in_as_the_daemon_takes_them_give_the_same_records(
    sizes: list[int],
) -> None:
    wiring, pipeline = parts()
    clock, stage = VirtualClock(), NoStage()
    urgent = UrgentEvents(clock)
    ingest = Ingest(wiring, pipeline, stage, clock, urgent, CountedRetained())  # type: ignore[arg-type]
    pipeline.engine.start(0)
    ingest.edges([Edge(line, False, 0, 0) for line in opened()])
    drafts: list[Draft] = []
    end_ns, at, turn = PERIOD_NS, 0, 0
    edges = found()
    while at < len(edges):
        size, turn = sizes[turn % len(sizes)], turn + 1
        batch = edges[at : at + size]
        before = [edge for edge in batch if edge.mono_ns < end_ns]
        at += len(before)
        ingest.edges(before)
        if len(before) < len(batch):
            drafts += [*urgent.take(), *pipeline.close(end_ns)]
            end_ns += PERIOD_NS
    drafts += [*urgent.take(), *pipeline.close(end_ns)]
    assert said(drafts) == said(with_levels())


def test_the_whole_trace_has_records_to_compare() -> None:
    assert len(whole()) > 1000
    assert {str(r.key.stream) for r in whole()} == {"traffic", "event"}
    with pytest.raises(AssertionError):  # the comparison sees a difference
        assert said(whole()) == said(whole()[:-1])
