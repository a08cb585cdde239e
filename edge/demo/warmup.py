"""The half hour before the demo, through the same code: so the models know this street."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

from drivers.chips import sen55
from drivers.sim._sensirion import with_checksums
from drivers.sim.meter import MeterLoad
from drivers.sim.sen55 import Sen55
from edge.core import Contact, Edge, Sweep, sweep
from edge.demo.demostreet import KWH, POWERED_S, DemoTrace, demo_air, demo_currents
from edge.gateway.pipeline import Pipeline
from edge.gateway.wiring import Wiring
from edge.infer.judge import Judge

WARMUP_S: Final = 1800
S: Final = 1_000_000_000


def warm_up(
    judge: Judge, wiring: Wiring, trace: DemoTrace, now_ns: int, progress: Callable[[float], None]
) -> None:
    """Judge the windows of the half hour that ends now; their records go nowhere."""
    pipeline = Pipeline(wiring.setup(), judge)
    period_s = wiring.site.period_ns // S
    begin_s = trace.start_s - WARMUP_S
    zero_ns = now_ns - int(trace.start_s * S)  # of the trace, on this machine's clock
    pipeline.engine.start(zero_ns + int(begin_s * S))
    sensors = _sensors(wiring, trace)
    ends = [begin_s + k * period_s for k in range(WARMUP_S // period_s + 1)]
    for from_s, to_s in pairwise(ends):
        pipeline.engine.contacts(list(_contacts(wiring, trace.between(from_s, to_s), zero_ns)))
        for second in range(period_s):
            at_s = from_s + second
            pipeline.engine.sweeps([read(at_s, zero_ns + int(at_s * S)) for read in sensors])
        pipeline.engine.close(zero_ns + int(to_s * S))
        progress((to_s - begin_s) / WARMUP_S)


def _contacts(wiring: Wiring, edges: Iterator[Edge], zero_ns: int) -> Iterator[Contact]:
    for edge in edges:
        moved = Edge(edge.line, edge.high, edge.mono_ns + zero_ns, edge.seqno)
        if (found := wiring.lined.get(edge.line)) is not None:
            yield found.contact(moved)


def _sensors(wiring: Wiring, trace: DemoTrace) -> list[Callable[[float, int], Sweep]]:
    """What each polled device would have answered, encoded and decoded as on its wire."""
    at = [trace.start_s - WARMUP_S]  # the moment that is simulated
    module = Sen55(demo_air, clock=lambda: at[0], powered_s=POWERED_S)
    load = MeterLoad(
        amps=lambda t_s: demo_currents(t_s + trace.start_s - WARMUP_S), clock=lambda: at[0]
    )
    load.reset(kwh=KWH)
    points = wiring.points()
    keys = [point.key for point in points["cabinet"]]

    def air_sweep(t_s: float, mono_ns: int) -> Sweep:
        at[0] = t_s
        return sweep("hut_air", mono_ns, sen55.decode(with_checksums(module.encode(demo_air(t_s)))))

    def meter_sweep(t_s: float, mono_ns: int) -> Sweep:
        at[0] = t_s
        held = load.values()
        return sweep("cabinet", mono_ns, [held[key] for key in keys])

    return [air_sweep, meter_sweep]
