"""A mail server for drills, on the loopback: it takes every message, counts it, and forgets it."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Sink(socketserver.ThreadingTCPServer):
    """Takes mails; ``count`` says how many."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.count = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Its address as the setting smtp_url has it."""
        return f"smtp://127.0.0.1:{self.server_address[1]}"


class _Talk(socketserver.StreamRequestHandler):
    server: Sink

    def handle(self) -> None:
        """Talk until the other side leaves."""
        with suppress(ConnectionError):
            self._serve()

    def _serve(self) -> None:
        self._say(b"220 drill")
        for line in self.rfile:
            verb = line[:4].upper().strip()
            if verb == b"QUIT":
                self._say(b"221 bye")
                return
            if verb == b"DATA":
                self._take()
            else:
                self._say(b"250 ok")

    def _take(self) -> None:
        self._say(b"354 go on")
        for line in self.rfile:
            if line.rstrip(b"\r\n") == b".":
                break
        with self.server.lock:
            self.server.count += 1
        self._say(b"250 taken")

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


@contextmanager
def sinking() -> Iterator[Sink]:
    """A mail server for as long as the context is open."""
    with Sink() as sink:
        threading.Thread(target=sink.serve_forever, args=(0.05,), name="drill mail", daemon=True).start()
        try:
            yield sink
        finally:
            sink.shutdown()
