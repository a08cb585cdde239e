"""What happens to a city while its gateways send: each fault is mended before the next one."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from deploy.broker.rabbitmq.cluster import Node
from edge.rig.smalldisk import SmallDisk
from tests.city.citystore import stored_rows
from tests.city.powercut import DroppingDisk
from tests.cluster.rabbit import Rabbit
from tests.cluster.sinks import ClusterSinks
from tests.kit.postgres import PostgresServer

AWAY_S = 6.0
CUT_OFF_S = 20.0
FULL_S = 10.0
WRITES, WRITES_S = 1000, 60.0  # records that are stored before power is lost, and the time for it

Fault = tuple[str, Callable[[], str]]
"""Its name, and what does it and mends it; it returns what else there is to say."""


@dataclass(frozen=True, slots=True)
class Faults:
    """`power` is None where no power can be lost."""

    rabbit: Rabbit
    sinks: ClusterSinks
    postgres: PostgresServer
    disk: SmallDisk
    power: DroppingDisk | None
    database: str

    def of_sinks(self) -> Iterator[Fault]:
        for number in (0, 1):
            yield f"kill -9 of sink {number + 1}", partial(self._kill_sink, number)

    def of_all(self) -> Iterator[Fault]:
        yield "kill -9 of PostgreSQL", self._kill_postgres
        if self.power is not None:
            yield "power lost under PostgreSQL", self._lose_power
        if self.disk.small:
            yield "full disk under PostgreSQL", self._fill_disk
        for node in self.rabbit.nodes:
            yield f"kill -9 of {node.name}", partial(self._kill_node, node)
        yield "one node cut off from the others", partial(self._cut_off, self.rabbit.nodes[2])

    def _kill_sink(self, number: int) -> str:
        self.sinks.kill(number)
        time.sleep(AWAY_S)
        self.sinks.start(number)
        return ""

    def _kill_postgres(self) -> str:
        """It comes back on a disk whose power is lost next."""
        self.postgres.kill()
        time.sleep(AWAY_S)
        more = {} if self.power is None else self.power.environment(self.postgres.data)
        self.postgres.start(**more)
        return ""

    def _lose_power(self) -> str:
        assert self.power is not None
        before, end = stored_rows(self.database), time.monotonic() + WRITES_S
        while stored_rows(self.database) < before + WRITES and time.monotonic() < end:
            time.sleep(0.2)
        lost = self.power.cut(self.postgres)
        time.sleep(AWAY_S)
        self.postgres.start()
        return f"{lost} writes lost that were not flushed"

    def _fill_disk(self) -> str:
        self.disk.fill()
        time.sleep(FULL_S)
        ended = not self.postgres.running
        self.disk.free()
        if ended:
            self.postgres.start()
        return "it had ended" if ended else "it stayed up"

    def _kill_node(self, node: Node) -> str:
        node.kill()
        time.sleep(AWAY_S)
        node.start()
        node.wait()
        self.rabbit.settle(300)
        return ""

    def _cut_off(self, node: Node) -> str:
        """It refuses the others, and they it: no cookie is right. Its clients still reach it."""
        others = [f"'{each.name}'" for each in self.rabbit.nodes if each is not node]
        refuse = [f"erlang:set_cookie({each}, none)" for each in others]
        leave = [f"erlang:disconnect_node({each})" for each in others]
        know = [f"erlang:set_cookie({each}, erlang:get_cookie())" for each in others]
        node.ctl("eval", ", ".join([*refuse, *leave]) + ".")
        time.sleep(CUT_OFF_S)
        said = node.ctl("eval", "rabbit:is_running().").strip()
        node.ctl("eval", ", ".join(know) + ".")
        node.wait(300)
        self.rabbit.settle(300)
        return "it went on" if said == "true" else "it stopped, as a minority has to"
