"""Plain HTTP that leads to the page: what a phone gets, and what a stranger can do with it."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.link.portal import CLIENTS, HEAD_BYTES, Portal, answer

ROOT = Path(__file__).parents[2]
PROBES = {
    "Android": "GET /generate_204 HTTP/1.1\r\nHost: connectivitycheck.gstatic.com\r\n\r\n",
    "iOS": "GET /hotspot-detect.html HTTP/1.0\r\nHost: captive.apple.com\r\n\r\n",
    "Windows": "GET /connecttest.txt HTTP/1.1\r\nHost: www.msftconnecttest.com\r\n\r\n",
    "Firefox": "GET /canonical.html HTTP/1.1\r\nHost: detectportal.firefox.com\r\n\r\n",
}


@pytest.fixture
def port() -> Iterator[int]:
    """A portal that ends when nobody has asked for half a second."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        portal = Portal(listening)
        thread = threading.Thread(target=portal.run, args=(0.5,))
        thread.start()
        yield listening.getsockname()[1]
        thread.join(30)
        assert not thread.is_alive(), "it has ended by itself"
        portal.close()


def ask(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as one:
        one.sendall(data)
        heard = b""
        while True:
            try:
                more = one.recv(65536)
            except ConnectionResetError:
                return heard
            if not more:
                return heard
            heard += more


@pytest.mark.parametrize("phone", PROBES)
def test_a_probe_is_led_to_the_page_at_the_address_where_it_was_asked(
    phone: str, port: int
) -> None:
    said = ask(port, PROBES[phone].encode())
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 302 Found\r\n")
    assert b"\r\nLocation: https://127.0.0.1/\r\n" in head
    assert b"\r\nCache-Control: no-store\r\n" in head
    assert b'href="https://127.0.0.1/"' in body
    assert f"Content-Length: {len(body)}".encode() in head


def test_nothing_of_what_is_asked_comes_back(port: int) -> None:
    said = ask(port, b"GET /<script>x</script> HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert b"script" not in said
    assert b"evil" not in said
    assert ask(port, b"HEAD / HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n")


def test_what_is_no_http_or_too_long_gets_no_answer(port: int) -> None:
    assert ask(port, b"\x16\x03\x01 hello\r\n\r\n") == b""
    assert ask(port, b"GET / HTTP/1.1\r\nX: " + b"x" * HEAD_BYTES) == b""
    assert ask(port, PROBES["iOS"].encode()).startswith(b"HTTP/1.1 302"), "it goes on"


def test_who_says_nothing_keeps_nobody_out(port: int) -> None:
    silent = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(CLIENTS + 8)]
    try:
        for one in silent:
            one.sendall(b"GET /")
        assert ask(port, PROBES["Android"].encode()).startswith(b"HTTP/1.1 302")
    finally:
        for one in silent:
            one.close()


def test_an_answer_is_small() -> None:
    assert len(answer("10.213.47.1", b"GET / HTTP/1.1\r\n\r\n")) < 400
    assert answer("10.213.47.1", b"") == b""


def test_as_a_process_it_takes_the_socket_that_systemd_gives_and_little_memory(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        # systemd gives the socket as number 3, and names the process
        code = (
            "import os,sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True); "
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
            "os.execv(sys.executable, [sys.executable, '-m', 'edge.link.portal'])"
        )
        number = listening.fileno()
        with subprocess.Popen(
            [sys.executable, "-c", code, str(number)], pass_fds=[number],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        ) as process:  # fmt: skip
            try:
                assert ask(port, PROBES["Windows"].encode()).startswith(b"HTTP/1.1 302")
                status = Path(f"/proc/{process.pid}/status").read_text()
            finally:
                process.kill()
    rows = dict(row.split(":\t", 1) for row in status.splitlines() if ":\t" in row)
    own_mb = int(rows["RssAnon"].split()[0]) / 1024
    print(f"portal: {own_mb:.1f} MiB of its own")
    assert own_mb < 12


def test_by_hand_it_says_who_starts_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge.link.portal"], capture_output=True, text=True, timeout=60,
        env={"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "systemd starts it" in done.stderr
