"""A real HTTP server that takes webhooks, and answers as a test wants it to."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "a secret that nobody guesses"


@dataclass(frozen=True)
class Post:
    """One request as it came in, and what it was answered."""

    headers: dict[str, str]
    body: bytes
    answer: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """What came in so far. ``answers`` are used up one a request; then everything is answered with 200.

    An answer is a status, or ``cut`` (none), ``slow`` (after the timeout), ``drip`` (headers that never end).
    """

    url: str = ""
    answers: list[str] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    meanwhile: dict[int, Callable[[], None]] = field(default_factory=dict)
    """What to do before the post with this number is answered."""
    takes_s: float = 0.0
    """How long each answer takes, in seconds."""
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def taken(self) -> list[Post]:
        """The posts that were answered with success."""
        return [post for post in self.posts if post.answer.startswith("2")]

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers["Content-Length"])
        body = request.rfile.read(length)
        if len(body) < length:  # the sender died in the middle
            request.close_connection = True
            return
        answer = self.answers.pop(0) if self.answers else "200"
        self.posts.append(Post({name.lower(): value for name, value in request.headers.items()}, body, answer))
        self.done.wait(self.takes_s)
        self.meanwhile.pop(len(self.posts), lambda: None)()
        if answer == "cut":
            request.connection.shutdown(socket.SHUT_RDWR)
            request.close_connection = True
        elif answer == "slow":
            self.done.wait(20)
            request.close_connection = True
        elif answer == "drip":
            while not self.done.wait(0.05):
                try:
                    request.wfile.write(b"H" if request.close_connection else b"HTTP/1.1 200 OK\r\nX-Long: ")
                except OSError:
                    return
                request.close_connection = True
        else:
            request.send_response(int(answer))
            request.send_header("Content-Length", "2")
            if answer.startswith("3"):
                request.send_header("Location", self.url)
            request.end_headers()
            request.wfile.write(b"ok")


@contextmanager
def receiving(answers: Sequence[str] = ()) -> Iterator[Receiver]:
    """A receiver on a free port of this machine."""
    receiver = Receiver(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body go out in two parts; else each answer would take 40 ms

        def do_POST(self) -> None:
            receiver.handle(self)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A sender that was killed is no error of the receiver's."""

    server = Server(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook?token=hidden"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.done.set()
        server.shutdown()
        thread.join()
        server.server_close()


def eventually(receiver: Receiver, count: int, within_s: float = 30) -> None:
    """Wait until so many posts were taken."""
    until = time.monotonic() + within_s
    while len(receiver.taken) < count:
        assert time.monotonic() < until, f"{len(receiver.taken)} of {count} were taken"
        time.sleep(0.01)
