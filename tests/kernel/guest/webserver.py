"""Stands in for `kerbstone web --socket FILE`, whose libraries the guest does not have: TLS on that
socket, one answer, and the word to systemd that it listens.

The certificate is made by openssl. So it is seen whether the units bring a phone to the socket.
"""

import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path

STATE = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/kerbstone-web"))
BODY = b"the page"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(BODY), BODY)


def main() -> None:
    path = Path(sys.argv[sys.argv.index("--socket") + 1])
    cert, key = STATE / "cert.pem", STATE / "key.pem"
    if not cert.exists():
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                   "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=kerbstone",
                   "-keyout", str(key), "-out", str(cert)]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(16)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))
        while True:
            connection, _ = listening.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as tls:
                    tls.recv(4096)
                    tls.sendall(ANSWER)
            except OSError:
                continue


if __name__ == "__main__":
    main()
