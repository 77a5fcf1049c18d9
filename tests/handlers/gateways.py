"""A real HTTP gateway on this machine: what it answers, one answer a message, and what it has been sent."""

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What is answered; ``behaviour`` cut closes the connection without a word, silent never answers, drip answers byte
    by byte without end from its head on, drip-body after it, and alarm sends this process a SIGALRM instead."""

    status: int = 200
    body: bytes = b'{"message_id": "prov-1"}'
    headers: Mapping[str, str] = field(default_factory=dict)
    behaviour: str = ""


@dataclass
class Gateway:
    """The answers to come (the last one stays), and the requests that came."""

    url: str = ""
    answers: list[Answer] = field(default_factory=lambda: [Answer()])
    requests: list[tuple[str, Mapping[str, str], dict[str, Any]]] = field(default_factory=list)
    connections: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def drip(self, answer: Answer, to: BufferedIOBase) -> None:
        head = b"HTTP/1.1 %d Said\r\nContent-Length: 9999\r\n" % answer.status
        to.write(head + (b"\r\n{" if answer.behaviour == "drip-body" else b"X-Long: "))
        with contextlib.suppress(OSError):
            while not self.released.wait(0.02):
                to.write(b" ")

    @property
    def channels(self) -> list[str]:
        return [body["channel"] for _, _, body in self.requests]


@contextmanager
def running() -> Iterator[Gateway]:
    gateway = Gateway()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            gateway.connections += 1
            super().setup()

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            gateway.requests.append((self.path, dict(self.headers.items()), json.loads(raw)))
            answer = gateway.next()
            if answer.behaviour == "alarm":
                gateway.released.wait(0.2)  # until the sender waits
                os.kill(os.getpid(), signal.SIGALRM)
            if answer.behaviour in ("silent", "alarm"):
                gateway.released.wait(30)
            if answer.behaviour.startswith("drip"):
                gateway.drip(answer, self.wfile)
            if answer.behaviour:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def do_GET(self) -> None:
            gateway.requests.append((self.path, {}, {"channel": "redirected"}))
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    gateway.url = f"http://127.0.0.1:{server.server_address[1]}/v1/messages"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield gateway
    finally:
        gateway.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
