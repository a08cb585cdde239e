"""A node is killed under load, each of the three in turn: what was confirmed arrives."""

import asyncio
from pathlib import Path

from tests.cluster.platform import ClusterPlatform
from tests.cluster.rabbit import Rabbit
from tests.cluster.street import ClusterGateways

BEFORE_S, WITHOUT_S = 4.0, 10.0


async def test_every_confirmed_record_arrives_whichever_node_is_killed(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    """The platform's own node, and the leader of its session's queue, are among them."""
    platform = ClusterPlatform(rabbit)
    async with ClusterGateways.of(rabbit, tmp_path) as street, platform.listening(0):
        async with street.busy():
            for node in rabbit.nodes:
                await asyncio.sleep(BEFORE_S)
                node.kill()
                await asyncio.sleep(WITHOUT_S)
                node.start()
                await asyncio.to_thread(node.wait)
                await asyncio.to_thread(rabbit.settle)
        await platform.have(street.sent)
        say("killed in turn", street, platform)
        assert street.confirmed == street.sent
        assert street.sent <= platform.seen.keys()
        assert street.nobody == 0
    running = rabbit.nodes[0].ctl("eval", "rabbit_nodes:list_running().")
    assert all(node.name in running for node in rabbit.nodes)


async def test_what_is_confirmed_while_the_platform_is_away_waits_for_it(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    """Its session began while a node was away; then each is killed once, at the end all at once."""
    rabbit.forget_session()
    platform, absent = ClusterPlatform(rabbit), rabbit.nodes[2]
    absent.kill()
    async with platform.listening(1):
        pass
    absent.start()
    await asyncio.to_thread(absent.wait)
    await asyncio.to_thread(rabbit.settle)
    async with ClusterGateways.of(rabbit, tmp_path) as street:
        for node in rabbit.nodes:
            async with street.busy():
                await asyncio.sleep(2)
                node.kill()
                await asyncio.sleep(2)
            node.start()
            await asyncio.to_thread(node.wait)
            await asyncio.to_thread(rabbit.settle)
        assert not platform.seen
        for node in rabbit.nodes:
            node.kill()
        for node in rabbit.nodes:
            node.start()
        for node in rabbit.nodes:
            await asyncio.to_thread(node.wait)
        async with platform.listening(2):
            await platform.have(street.sent)
        say("platform away", street, platform)
        assert street.confirmed == street.sent
        assert street.sent <= platform.seen.keys()
        assert street.nobody == 0


async def test_while_two_nodes_are_away_nothing_is_confirmed_and_nothing_lost(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    """The third one sees no majority: it stops serving, and does not go on alone."""
    platform = ClusterPlatform(rabbit)
    async with ClusterGateways.of(rabbit, tmp_path) as street, platform.listening(0):
        async with street.busy():
            await asyncio.sleep(2)
            for node in rabbit.nodes[:2]:
                node.kill()
            await asyncio.sleep(3)
            before = len(street.confirmed)
            await asyncio.sleep(5)
            assert len(street.confirmed) == before < len(street.sent)
            for node in rabbit.nodes[:2]:
                node.start()
            for node in rabbit.nodes:
                await asyncio.to_thread(node.wait)
            await asyncio.to_thread(rabbit.settle)
        await platform.have(street.sent)
        say("two of three away", street, platform)
        assert street.sent <= platform.seen.keys()
        assert street.nobody == 0


def say(what: str, street: ClusterGateways, platform: ClusterPlatform) -> None:
    print(
        f"\n{what}: {len(street.sent)} sent, {len(street.confirmed)} confirmed, "
        f"{len(platform.seen)} received, {platform.twice} of them twice; longest gap "
        f"{street.longest_s:.1f} s between confirmations of a gateway, "
        f"{platform.longest_s:.1f} s between arrivals"
    )
