"""The way to the broker: names, ports, proxies and certificates, with real brokers."""

import socket
import threading
from contextlib import closing, suppress
from pathlib import Path

from edge.diagnose import brokerway
from tests.diagnose.bench import VALID, Answers, Bench, clean, fault_of
from tests.kit.broker import free_port

ROOT = Path(__file__).parents[2]


@fault_of("dns")
def a_name_that_nobody_has(bench: Bench) -> Answers:
    return bench.ask("dns", bench.site("mqtt://broker.invalid"))


@clean("dns")
def this_machine(bench: Bench) -> Answers:
    return bench.ask("dns", bench.site(f"mqtt://localhost:{bench.broker().port}"))


@fault_of("tcp")
def a_closed_port(bench: Bench) -> Answers:
    return bench.ask("tcp", bench.site(f"mqtt://127.0.0.1:{free_port()}"))


@clean("tcp")
def an_open_port(bench: Bench) -> Answers:
    return bench.ask("tcp", bench.site(bench.broker().url))


def unit(bench: Bench, allowed: str) -> None:
    """The unit that ships, and the drop-in that kerbstone-egress makes."""
    root = bench.kernel()
    place = root / "usr/lib/systemd/system/kerbstone.service"
    place.parent.mkdir(parents=True)
    place.write_bytes((ROOT / "systemd/kerbstone.service").read_bytes())
    drop_in = root / "run/systemd/system/kerbstone.service.d/50-egress.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text(f"[Service]\nIPAddressAllow={allowed}\n")


@fault_of("egress")
def an_address_that_is_not_let_through(bench: Bench) -> Answers:
    bench.monkeypatch.setattr(brokerway, "STAGE_S", 0.2)  # nobody is at this address
    unit(bench, "192.0.2.10")
    return bench.ask("egress", bench.site("mqtt://192.0.2.55"))


@clean("egress")
def an_address_that_is_let_through(bench: Bench) -> Answers:
    bench.monkeypatch.setattr(brokerway, "STAGE_S", 0.2)
    unit(bench, "192.0.2.55")
    return bench.ask("egress", bench.site("mqtt://192.0.2.55"))


def proxy(bench: Bench, answer: bytes) -> str:
    """An HTTP proxy that gives this answer to everybody."""
    server = socket.create_server(("127.0.0.1", 0))
    bench.stack.callback(server.close)

    def serve() -> None:
        with suppress(OSError):
            while True:
                link, _ = server.accept()
                with closing(link):
                    if link.recv(4096):
                        link.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    bench.stack.callback(server.shutdown, socket.SHUT_RDWR)
    return f'proxy = "http://127.0.0.1:{server.getsockname()[1]}"'


@fault_of("proxy")
def a_proxy_that_refuses(bench: Bench) -> Answers:
    refuses = proxy(bench, b"HTTP/1.1 403 Forbidden\r\n\r\n")
    return bench.ask("proxy", bench.site("mqtt://broker.example", uplink=refuses))


@clean("proxy")
def a_proxy_that_lets_through(bench: Bench) -> Answers:
    lets = proxy(bench, b"HTTP/1.1 200 Connection established\r\n\r\n")
    return bench.ask("proxy", bench.site("mqtt://broker.example", uplink=lets))


# -- TLS -------------------------------------------------------------------------------------------


@fault_of("tls_protocol")
def a_port_without_tls(bench: Bench) -> Answers:
    port = bench.broker().port
    ca = bench.authority().path
    return bench.ask("tls_protocol", bench.site(f"mqtts://127.0.0.1:{port}", uplink=f'ca = "{ca}"'))


def right_broker(bench: Bench) -> Path:
    ours = bench.authority()
    url = bench.secure(*ours.issue("right", days=VALID))
    return bench.site(url, uplink=f'ca = "{ours.path}"')


@clean("tls_protocol")
def a_port_with_tls(bench: Bench) -> Answers:
    return bench.ask("tls_protocol", right_broker(bench))


@fault_of("tls_authority")
def an_authority_that_nobody_knows(bench: Bench) -> Answers:
    ours, theirs = bench.authority(), bench.authority("theirs")
    url = bench.secure(*theirs.issue("foreign", days=VALID))
    return bench.ask("tls_authority", bench.site(url, uplink=f'ca = "{ours.path}"'))


@clean("tls_authority")
def our_authority(bench: Bench) -> Answers:
    return bench.ask("tls_authority", right_broker(bench))


@fault_of("tls_name")
def a_certificate_for_another_name(bench: Bench) -> Answers:
    ours = bench.authority()
    url = bench.secure(*ours.issue("other", host="broker.example", days=VALID))
    found = bench.ask("tls_name", bench.site(url, uplink=f'ca = "{ours.path}"'))
    assert found.rows[0]["remedy"].endswith("It is for broker.example.")
    return found


@clean("tls_name")
def a_certificate_for_this_name(bench: Bench) -> Answers:
    return bench.ask("tls_name", right_broker(bench))


@fault_of("tls_dates")
def a_certificate_that_has_ended(bench: Bench) -> Answers:
    ours = bench.authority()
    url = bench.secure(*ours.issue("ended", days=(-3, -1)))
    return bench.ask("tls_dates", bench.site(url, uplink=f'ca = "{ours.path}"'))


@clean("tls_dates")
def a_certificate_that_is_valid(bench: Bench) -> Answers:
    return bench.ask("tls_dates", right_broker(bench))


def own_certificate(bench: Bench, *, known: bool) -> Path:
    ours, theirs = bench.authority(), bench.authority("theirs")
    asks = f"allow_anonymous true\nrequire_certificate true\ncafile {ours.path}\n"
    url = bench.secure(*ours.issue("right", days=VALID), asks)
    cert, key = (ours if known else theirs).issue("gw-1", days=VALID)
    key.chmod(0o600)
    named = f'ca = "{ours.path}"\ncert = "{cert}"\nkey = "{key}"'
    return bench.site(url, uplink=named)


@fault_of("client_certificate")
def a_certificate_that_the_broker_does_not_take(bench: Bench) -> Answers:
    return bench.ask("client_certificate", own_certificate(bench, known=False))


@clean("client_certificate")
def a_certificate_that_the_broker_takes(bench: Bench) -> Answers:
    return bench.ask("client_certificate", own_certificate(bench, known=True))


@fault_of("uplink_files")
def a_key_of_another_certificate(bench: Bench) -> Answers:
    ours = bench.authority()
    (cert, _), (_, key) = ours.issue("gw-1"), ours.issue("gw-2")
    key.chmod(0o600)
    named = f'ca = "{ours.path}"\ncert = "{cert}"\nkey = "{key}"'
    return bench.ask("uplink_files", bench.site("mqtts://127.0.0.1:1", uplink=named))


@clean("uplink_files")
def a_certificate_with_its_key(bench: Bench) -> Answers:
    return bench.ask("uplink_files", own_certificate(bench, known=True))
