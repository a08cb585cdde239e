"""The brokers' URLs: ports of others, hosts that can be none, the box itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.config.hostnames import host_trouble
from edge.config.problem import Problem
from edge.config.site import Site
from edge.core.boxfiles import OWN_SITE_FILE, SIGNED_SITE_FILE
from edge.core.endpoint import PORTS, endpoint

OTHER_PORTS: Final = {22: "SSH", 80: "HTTP", 443: "HTTPS", 502: "Modbus", 5672: "AMQP"}
BOX_FOLDERS: Final = (OWN_SITE_FILE.parent, SIGNED_SITE_FILE.parent)


def broker_warnings(site: Site) -> Iterator[Problem]:
    """All remarks about url and fallback."""
    for key, urls in (("url", (site.uplink.url,)), ("fallback", site.uplink.fallback or ())):
        for url in urls:
            for text in _texts(site, url):
                yield site.remark(("uplink", key), text)
    seen = {endpoint(site.uplink.url)}
    for url in site.uplink.fallback or ():
        if (broker := endpoint(url)) in seen:
            yield site.remark(("uplink", "fallback"), f"{url} is named before; name another broker")
        seen.add(broker)


def _texts(site: Site, url: str) -> Iterator[str]:
    broker = endpoint(url)
    own, other = ("mqtts", "mqtt") if broker.tls else ("mqtt", "mqtts")
    if broker.port == PORTS[other]:
        yield (
            f"port {broker.port} is that of {other}://, and this is {own}://; the usual "
            f"port of {own}:// is {PORTS[own]}"
        )
    elif broker.port in OTHER_PORTS:
        yield (
            f"port {broker.port} is that of {OTHER_PORTS[broker.port]}; the usual port of {own}:// "
            f"is {PORTS[own]}"
        )
    if text := host_trouble(broker.host):
        yield text
    box = any(folder in Path(site.file).parents for folder in BOX_FOLDERS)
    if broker.host == "localhost" and box:
        yield "localhost is this box itself; if a broker runs on it, write 127.0.0.1"
