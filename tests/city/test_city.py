"""A whole city under load, and each of its parts harmed in turn: `make city-test`.

Three RabbitMQ nodes, two sinks and PostgreSQL, with GATEWAYS simulated gateways that all come back
at once with 20 minutes of records. What the broker has acknowledged is stored, once by its key; the
fleets count what they send themselves. A full disk needs root (a small file system in memory),
lost power a C compiler (`powercut.py`): what cannot be done is left out, and said.
"""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from edge.platform.recordqueue import DEAD, QUEUE
from edge.rig.smalldisk import SmallDisk
from tests.city import powercut
from tests.city.citystore import CityStore, sent_numbers, stored_rows
from tests.city.conftest import GATEWAYS
from tests.city.faults import Fault, Faults
from tests.city.fleets import CityFleets
from tests.city.powercut import DroppingDisk
from tests.cluster.rabbit import Rabbit
from tests.cluster.sinks import ClusterSinks, messages
from tests.kit.postgres import PostgresServer

pytestmark = pytest.mark.timeout(7200)
BACKLOG = int(os.environ.get("BACKLOG", "20"))
SPEED = max(1.0, 1000 / GATEWAYS)  # live: 170 records a second, however few gateways there are
BETWEEN_S = 3.0
ENOUGH = 500  # records that are stored before the first fault
ARRIVE_S = 120.0
# within which all come back, as `reconnect_spread` sets it: handshakes of TLS that are all under
# way at once take longer than the 20 s after which a gateway begins again
JITTER_S = max(3.0, 0.1 * GATEWAYS)
SINK_RUN_S = JITTER_S + 40.0
RUN_S = JITTER_S + 240.0
DRAIN_S = 1200.0
TOO_SMALL = f"this machine is too small for GATEWAYS={GATEWAYS}: their connections were lost"


class City:
    """Of one test. `counts` of sinks are those of the processes that are there at the end."""

    def __init__(
        self, rabbit: Rabbit, postgres: PostgresServer, disk: SmallDisk, folder: Path
    ) -> None:
        self.rabbit, self.folder = rabbit, folder
        self.database = postgres.database()
        self.sinks = ClusterSinks(rabbit, self.database, folder)
        power = None if powercut.missing() else DroppingDisk(disk.folder / "power")
        self.faults = Faults(rabbit, self.sinks, postgres, disk, power, self.database)
        self.left_out = [] if disk.small else ["a full disk: no file system can be mounted here"]
        self.left_out += [f"lost power: {why}"] if (why := powercut.missing()) else []

    def harm(self, fleets: CityFleets, faults: Iterable[Fault]) -> None:
        end = time.monotonic() + ARRIVE_S
        while stored_rows(self.database) < ENOUGH:
            assert time.monotonic() < end, "the fleets' records do not arrive"
            time.sleep(0.2)
        for name, harm in faults:
            waiting = messages(self.rabbit, QUEUE)
            assert fleets.busy, f"the fleets ended before: {name}"
            began_s = time.monotonic()
            more = harm()
            took_s = time.monotonic() - began_s
            say(f"{name}: {took_s:.1f} s, {waiting} in the queue before; {more}".rstrip("; "))
            time.sleep(BETWEEN_S)

    def prove(self, fleets: CityFleets, *, seconds: float) -> dict[str, object]:
        """All is stored that was acknowledged, once; returns what the fleets have done."""
        done = fleets.finish(seconds)
        for name, value in done.items():
            say(f"{name}: {value}")
        end = time.monotonic() + 120
        while messages(self.rabbit, QUEUE):
            assert time.monotonic() < end, "the queue does not become empty"
            time.sleep(1)
        counts = [self.sinks.stop(number) for number in (0, 1)]
        say(f"sinks at the end: {counts}")
        store, sent = CityStore(self.database), sent_numbers(fleets.ledgers)
        dead = messages(self.rabbit, DEAD)
        say(f"stored {store.rows}, twice {store.twice}, conflicts {store.conflicts}, "
            f"refused {store.refused}, dead letters {dead}")  # fmt: skip
        assert store.lost(sent) == {}
        assert store.invented(sent) == {}
        assert (store.twice, store.conflicts, store.refused, dead) == (0, 0, 0, 0)
        assert (done["unconfirmed"], done["no_subscribers"]) == (0, 0)
        began_s = time.monotonic()
        assert store.audited() == store.by_gateway()
        say(f"the audit of {GATEWAYS} gateways agrees, {time.monotonic() - began_s:.1f} s")
        return done


def say(text: str) -> None:
    print(text, flush=True)


@pytest.fixture
def city(
    rabbit: Rabbit, postgres: PostgresServer, disk: SmallDisk, tmp_path: Path
) -> Iterator[City]:
    made = City(rabbit, postgres, disk, tmp_path)
    say(f"\n{GATEWAYS} gateways, a backlog of {BACKLOG} minutes")
    for each in made.left_out:
        say(f"left out: {each}")
    made.sinks.start(0)
    made.sinks.start(1)
    yield made
    made.sinks.close()


def fleets_of(city: City, run_s: float, receipt_s: float) -> CityFleets:
    return CityFleets(
        city.rabbit, city.folder, "--backlog", BACKLOG, "--speed", SPEED, "--for", run_s,
        "--drain", DRAIN_S, "--receipt-s", receipt_s, "--jitter", JITTER_S,
    )  # fmt: skip


def test_a_killed_sink_makes_no_gateway_send_again(city: City) -> None:
    fleets = fleets_of(city, SINK_RUN_S, 600)
    try:
        city.harm(fleets, city.faults.of_sinks())
        done = city.prove(fleets, seconds=SINK_RUN_S + DRAIN_S)
        assert done["connections_lost"] == {}, TOO_SMALL
        assert done["sent_again"] == {}
    finally:
        fleets.close()


def test_what_is_acknowledged_is_stored_once_whatever_fails(city: City) -> None:
    """A receipt that was under way on a connection that broke is lost: that record comes again."""
    fleets = fleets_of(city, RUN_S, 60)
    try:
        city.harm(fleets, city.faults.of_all())
        city.prove(fleets, seconds=RUN_S + DRAIN_S)
    finally:
        fleets.close()
