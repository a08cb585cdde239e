"""A fleet with certificates of its own at the cluster as it ships: RabbitMQ takes its packets."""

import asyncio

from edge.acquire.clock import SystemClock
from edge.fleet.fleet import Fleet, FleetPlan
from edge.fleet.gateway import BoxOptions
from tests.cluster.rabbit import GATEWAYS, Rabbit
from tests.fleet.fleetstore import fleet_keys


async def test_rabbitmq_takes_all_that_a_fleet_sends(rabbit: Rabbit) -> None:
    minute = SystemClock().now().wall_ns // 60_000_000_000
    plan = FleetPlan(
        names=GATEWAYS,
        options=BoxOptions("city", "kerbstone/v1", receipt_s=None),
        lanes=8,
        seed=1,
        first_minute=minute - 60,
        minute_s=0.2,
        spread_s=0.1,
        jitter_s=0.5,
        backlog=20,
        minutes=30,
        drain_s=60.0,
    )
    fleet = Fleet(plan, lambda name: rabbit.brokers(name)[0], SystemClock())
    assert await fleet.run(asyncio.Event()) == "confirmed"
    tally = fleet.tally
    assert (fleet.ever_online, tally.lost, tally.failures) == (3, {}, {})
    assert (tally.refused, tally.retained_refused, tally.again.total()) == ({}, {}, 0)
    assert fleet_keys(fleet, "sent") == fleet_keys(fleet, "acknowledged")
    assert tally.pubacks > 3 * 50 * 10
