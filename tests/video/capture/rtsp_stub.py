"""A small RTSP server that refuses: it counts the requests that carry a login."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
    "a=rtpmap:96 H264/90000\r\na=control:track1\r\n"
)


@dataclass
class RtspStub:
    """What the server does, and what it saw. `refuses`: the status of a DESCRIBE with a login."""

    refuses: int = 401
    scheme: str = "Digest"
    needs_login: bool = True
    url: str = ""
    requests: list[str] = field(default_factory=list)
    logins: int = 0
    connections: int = 0

    def answer(self, method: str, head: str) -> tuple[str, str, str]:
        """(status line, headers, body) for a request."""
        if method == "OPTIONS":
            return "200 OK", "Public: OPTIONS, DESCRIBE, SETUP, PLAY\r\n", ""
        if self.needs_login and "Authorization:" not in head:
            challenge = f'{self.scheme} realm="cam", nonce="n{self.connections}"'
            return "401 Unauthorized", f"WWW-Authenticate: {challenge}\r\n", ""
        if self.needs_login:
            self.logins += 1
            return (
                f"{self.refuses} No",
                f'WWW-Authenticate: {self.scheme} realm="cam", nonce="m"\r\n',
                "",
            )
        if method == "DESCRIBE":
            return "200 OK", "Content-Type: application/sdp\r\n", SDP
        return "461 Unsupported Transport", "", ""


@contextmanager
def rtsp_stub(stub: RtspStub) -> Iterator[RtspStub]:
    """Serve on loopback; `stub.url` is HOST:PORT/PATH."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            stub.connections += 1
            while head := _request(self.rfile):
                method = head.split(" ", 1)[0]
                stub.requests.append(method)
                sequence = next(line for line in head.split("\r\n") if line.startswith("CSeq"))
                status, headers, body = stub.answer(method, head)
                length = f"Content-Length: {len(body)}\r\n" if body else ""
                reply = f"RTSP/1.0 {status}\r\n{sequence}\r\n{headers}{length}\r\n{body}"
                self.wfile.write(reply.encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    stub.url = f"127.0.0.1:{server.server_address[1]}/main"
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _request(stream: object) -> str:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line: bytes = stream.readline()  # type: ignore[attr-defined]
        if not line:
            return ""
        head += line
    return head.decode()
