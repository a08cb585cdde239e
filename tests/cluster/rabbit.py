"""A city with three RabbitMQ nodes, its PKI, and what can be done to them."""

import asyncio
import datetime
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import aiomqtt
from cryptography import x509

from deploy.broker.rabbitmq.cluster import BINARIES, COUNT, PROGRAMS, Cluster, Node, Ports
from edge.platform.subscription import SESSION_S, BrokerSource, make_client
from edge.provision import pki
from edge.uplink.broker import Broker
from tests.kit.broker import free_port
from tests.kit.citybroker import TlsListener
from tests.kit.forged import Pair

GATEWAYS = ("gw-0001", "gw-0002", "gw-0003")


class Rabbit:
    """`folder` is the PKI's, and the cluster's; `names` are the gateways."""

    def __init__(
        self,
        folder: Path,
        changes: Sequence[tuple[str, str]] = (),
        names: Sequence[str] = GATEWAYS,
    ) -> None:
        self.folder, self.names = folder, names
        self.authority = pki.make_pki(folder, self.now, gateways=names, programs=PROGRAMS)
        ports = iter(_different(3 * COUNT + 1))
        mqtt, amqp, between = (tuple(next(ports) for _ in range(COUNT)) for _ in range(3))
        self.cluster = Cluster(folder, Ports(mqtt, amqp, between, next(ports)))
        self.cluster.configure(changes)
        self.places = [TlsListener(folder, port) for port in mqtt]

    @property
    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)

    @property
    def nodes(self) -> list[Node]:
        return self.cluster.nodes

    @property
    def platform(self) -> Pair:
        return self.folder / "platform.crt", self.folder / "platform.key"

    def gateway(self, name: str) -> Pair:
        return self.folder / f"gateways/{name}.crt", self.folder / f"gateways/{name}.key"

    def start(self) -> None:
        self.cluster.start()
        self.cluster.admit(self.names)

    def stop(self) -> None:
        self.cluster.stop()

    def brokers(self, name: str, first: int = 0) -> list[Broker]:
        """All three addresses, as a gateway's configuration has them."""
        order = [self.places[(first + n) % COUNT] for n in range(COUNT)]
        return [place.broker(self.gateway(name), name) for place in order]

    def session(
        self, number: int, queue: type[asyncio.Queue[aiomqtt.Message]] | None = None
    ) -> aiomqtt.Client:
        """The platform's own client, at this node; its session lasts for an hour."""
        place = self.places[number]
        tls = place.context(self.platform)
        return make_client(BrokerSource("127.0.0.1", place.port, "platform", tls), SESSION_S, queue)

    def serial(self, name: str) -> int:
        return x509.load_pem_x509_certificate(self.gateway(name)[0].read_bytes()).serial_number

    def forget_session(self) -> None:
        """The platform's session, with all that waits in it."""
        subprocess.run(
            [BINARIES / "rabbitmqctl", "--silent", "delete_queue", self.queue],
            env=self.nodes[0].environment, capture_output=True, timeout=120,
        )  # fmt: skip

    @property
    def queue(self) -> str:
        return "mqtt-subscription-platformqos1"

    def settle(self, seconds: float = 120.0) -> None:
        """Until any one node may be lost: what an operator asks before he stops a node."""
        end = time.monotonic() + seconds
        while not all(_spare(node) for node in self.nodes):
            assert time.monotonic() < end, "a queue has no majority to spare"
            time.sleep(0.5)


def _spare(node: Node) -> bool:
    done = subprocess.run(
        [BINARIES / "rabbitmq-queues", "--silent", "check_if_node_is_quorum_critical"],
        env=node.environment, capture_output=True, timeout=120,
    )  # fmt: skip
    return done.returncode == 0


def _different(count: int) -> set[int]:
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return ports
