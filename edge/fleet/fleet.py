"""Thousands of simulated gateways on one loop: who connects when, and whose minute ends when."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from edge.core import AsyncClock
from edge.fleet.boxrecords import plan_start
from edge.fleet.gateway import BoxOptions, SimulatedGateway
from edge.fleet.ledger import FormerEpoch
from edge.fleet.packets import connect_bytes
from edge.fleet.session import FleetSession, SessionSetup
from edge.fleet.street import Street
from edge.fleet.tally import FleetTally
from edge.kernelclock import mono_ns
from edge.uplink.broker import Broker
from edge.uplink.dial import resolve_host
from edge.uplink.inflight import BrokerRefusedError, ConnectionLostError
from edge.uplink.reconnect import ReconnectPolicy

DIALLING: Final = 200  # connections that are being made at one time
TICK_S: Final = 1.0  # between two looks at each gateway
TICK_TURN_S: Final = 0.01  # between two turns, in which some of them are looked at
TURN_GATEWAYS: Final = 20  # then others have their turn
GOODBYE_S: Final = 5.0
FIRST_S: Final = 10.0  # behind the jitter: then somebody is connected, or the broker is not there
LOOK_S: Final = 0.1  # between two looks whether all is confirmed

Ending = Literal["confirmed", "time", "stopped"]


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """`minute_s`: of real time, between two minutes of the street. `minutes` None: without an end.

    `spread_s`: the minutes of all gateways end within this time, evenly; `jitter_s`: over which
    they connect, and connect again after a loss. `first_minute`: of the wall, counted from 1970.
    """

    names: Sequence[str]
    options: BoxOptions
    lanes: int
    seed: int
    first_minute: int
    minute_s: float
    spread_s: float
    jitter_s: float
    backlog: int = 0
    minutes: int | None = None
    for_s: float | None = None
    drain_s: float = 150.0
    session_expiry_s: int = 0
    former: Mapping[str, FormerEpoch] = field(default_factory=dict)


class FleetGateway(SimulatedGateway):
    """With what it takes to connect. `was_up`: the connection that has ended was open."""

    was_up = False

    policy: ReconnectPolicy
    broker: Broker
    setup: SessionSetup
    connected: Callable[["FleetGateway"], None]
    ended: Callable[["FleetGateway", ConnectionLostError | BrokerRefusedError], None]

    def session_open(self, session: FleetSession) -> None:
        super().session_open(session)
        self.connected(self)

    def session_lost(self, error: ConnectionLostError | BrokerRefusedError) -> None:
        self.was_up = self.session is not None
        super().session_lost(error)
        self.ended(self, error)
        self.was_up = False


class Fleet:
    """`broker_of` gives each gateway its broker: the same place, its own name and certificate."""

    def __init__(
        self, plan: FleetPlan, broker_of: Callable[[str], Broker], clock: AsyncClock
    ) -> None:
        self._plan, self._clock = plan, clock
        self.tally = FleetTally()
        self._street = Street(plan.lanes, plan.seed)
        self.gateways = [self._gateway(number, broker_of) for number in range(len(plan.names))]
        self._dialling = asyncio.Semaphore(DIALLING)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False
        self._addresses: list[str] = []  # of the broker; the one that answered last is the first
        self.online = 0
        self.ever_online = 0
        self.lag_s = 0.0
        """How far the last minute was behind its time: then this process is the limit."""

    def _gateway(self, number: int, broker_of: Callable[[str], Broker]) -> FleetGateway:
        plan, name = self._plan, self._plan.names[number]
        rng = random.Random(f"{plan.seed} {name}")
        start = plan_start(name, plan.first_minute, plan.former.get(name), rng)
        one = FleetGateway(start, self._street, plan.options, self.tally)
        one.broker = replace(broker_of(name), client_id=name)
        one.policy = ReconnectPolicy([one.broker], random.Random(f"{name}:{start.epoch}"))
        one.policy.spread_s = plan.jitter_s
        one.connected, one.ended = self._connected, self._lost
        broker = one.broker
        connect = connect_bytes(
            name,
            keepalive_s=broker.keepalive_s,
            will=one.will,
            session_expiry_s=plan.session_expiry_s,
            username=broker.username,
            password=broker.password,
        )
        one.setup = SessionSetup(
            connect, one.filters, broker.keepalive_s, broker.window, broker.answer_s
        )
        return one

    # -- a run -------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> Ending:
        """Until the plan is done and all is confirmed, or the time to wait for that is over, or
        `stop` is set: then what is on its way has GOODBYE_S. Set again, it ends at once."""
        plan, loop = self._plan, asyncio.get_running_loop()
        began_s = loop.time()
        for one in self.gateways:
            for _ in range(plan.backlog):
                one.pass_minute()
            wait_s = random.Random(f"first {one.start.epoch}").uniform(0.0, plan.jitter_s)
            loop.call_later(wait_s, self._dial, one)
        ticking: asyncio.Task[object] = asyncio.create_task(self._tick())
        pacing: asyncio.Task[object] = asyncio.create_task(self._pace(began_s))
        stopped: asyncio.Task[object] = asyncio.create_task(stop.wait())
        try:
            waited = {pacing, ticking, stopped}
            for task in (await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED))[0]:
                task.result()  # a fault of ours ends the run
            pacing.cancel()
            return await self._drain(stop, began_s + plan.jitter_s + FIRST_S)
        finally:
            self._ending = True
            for task in (ticking, pacing, stopped, *self._tasks):
                task.cancel()
            await asyncio.gather(ticking, pacing, *self._tasks, return_exceptions=True)
            await self._goodbye()

    async def _pace(self, began_s: float) -> None:
        plan, loop = self._plan, asyncio.get_running_loop()
        end_s = None if plan.for_s is None else began_s + plan.for_s
        minute = 0
        while plan.minutes is None or minute < plan.minutes:
            minute += 1
            due_s = began_s + minute * plan.minute_s - plan.spread_s
            if end_s is not None and due_s + plan.spread_s > end_s:
                await self._sleep(end_s - loop.time())
                return
            for number, one in enumerate(self.gateways):
                at_s = due_s + (number + 1) / len(self.gateways) * plan.spread_s
                wait_s = at_s - loop.time()
                if wait_s > 0 or number % TURN_GATEWAYS == 0:
                    await self._sleep(wait_s)
                one.pass_minute()
            self.lag_s = max(0.0, loop.time() - at_s)

    async def _tick(self) -> None:
        """Each gateway once in TICK_S, one after the other. Who comes late looks at all that are
        due: a connection that nobody looks at is not kept alive."""
        loop = asyncio.get_running_loop()
        began_s, step_s, count = loop.time(), TICK_S / len(self.gateways), 0
        while True:
            due = min(int((loop.time() - began_s) / step_s), count + len(self.gateways))
            for number in range(count, due):
                self.gateways[number % len(self.gateways)].tick()
            if due == count + len(self.gateways):  # a whole round late: from here on again
                began_s = loop.time() - due * step_s
            count = due
            await self._sleep(TICK_TURN_S)

    async def _sleep(self, wait_s: float) -> None:
        """At least others have their turn."""
        await self._clock.sleep_until(self._clock.now().mono_ns + int(max(0.0, wait_s) * 1e9))

    async def _drain(self, stop: asyncio.Event, first_s: float) -> Ending:
        """Wait for what was sent; then seal it, and wait for the seals. Not for a broker that has
        let nobody in until `first_s`."""
        loop = asyncio.get_running_loop()
        ending: Ending = "stopped" if stop.is_set() else "confirmed"
        stop.clear()
        until_s = loop.time() + (GOODBYE_S if ending == "stopped" else self._plan.drain_s)
        for seal in (False, True):
            if seal:
                for one in self.gateways:
                    one.seal()
            while any(one.pending for one in self.gateways):
                nobody = not self.ever_online and loop.time() >= first_s
                if stop.is_set() or loop.time() >= until_s or nobody:
                    return "stopped" if ending == "stopped" or stop.is_set() else "time"
                await self._sleep(LOOK_S)
        return ending

    async def _goodbye(self) -> None:
        loop = asyncio.get_running_loop()
        for one in self.gateways:
            one.goodbye()
        until_s = loop.time() + GOODBYE_S
        while self.online and loop.time() < until_s:
            await self._sleep(LOOK_S)
        for one in self.gateways:
            if one.session is not None:
                one.session.cut("closed")

    @property
    def pending(self) -> int:
        """Records that are not confirmed yet."""
        return sum(one.pending for one in self.gateways)

    @property
    def unsent(self) -> int:
        """Of these, those that wait for their turn."""
        return sum(one.unsent for one in self.gateways)

    # -- connections -------------------------------------------------------------------------------

    def _dial(self, one: FleetGateway) -> None:
        if self._ending:
            return
        task = asyncio.create_task(self._connect(one))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, one: FleetGateway) -> None:
        broker = one.broker
        async with self._dialling:
            session = FleetSession(one.setup, one, self.tally)
            try:
                async with asyncio.timeout(broker.connect_s):
                    await self._reach(session, broker)
                    await session.begun.wait()
            except OSError as error:  # ssl.SSLError and TimeoutError are among them
                why = str(error) or "no answer"
                if not (session.begun.is_set() or session.cut(why)):
                    self._lost(one, ConnectionLostError(why))
            except asyncio.CancelledError:
                session.cut("closed")
                raise

    async def _reach(self, session: FleetSession, broker: Broker) -> None:
        """TCP and TLS, to the first address that answers. Raises OSError."""
        loop = asyncio.get_running_loop()
        if not self._addresses:  # the same for all, looked up once
            found = await asyncio.to_thread(resolve_host, broker.host, broker.port)
            self._addresses = [str(place[0]) for _, place in found]
        error = OSError(f"{broker.host} has no address")
        for address in tuple(self._addresses):
            try:
                await loop.create_connection(
                    lambda: session,
                    address,
                    broker.port,
                    ssl=broker.tls,
                    server_hostname=broker.host if broker.tls else None,
                )
            except OSError as failed:
                error = failed
            else:
                self._addresses.sort(key=lambda other: other != address)
                return
        raise error

    def _connected(self, one: FleetGateway) -> None:
        self.online += 1
        self.ever_online += one.counts.connections == 1
        self.tally.connections += 1
        one.policy.connected(mono_ns())

    def _lost(self, one: FleetGateway, error: ConnectionLostError | BrokerRefusedError) -> None:
        """A connection has ended, or an attempt has failed."""
        now_ns, was_up = mono_ns(), one.was_up
        self.online -= was_up
        if self._ending:
            return
        if one.spread_s is not None:
            one.policy.spread_s = one.spread_s
        if was_up:
            self.tally.lost[str(error)] += 1
            one.policy.ended(now_ns)
        else:
            self.tally.failures[str(error)] += 1
            one.counts.connection_failures += 1
            one.policy.failed(now_ns, error.code)
        wait_s = max(0.0, (one.policy.next.at_ns - now_ns) / 1e9)
        asyncio.get_running_loop().call_later(wait_s, self._dial, one)
