"""A worker's health endpoint: ``GET /healthz`` answers 200 while the worker is working, for compose and the like."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer a probe."""
        healthy = self.path == "/healthz"
        self.send_response(200 if healthy else 404)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"ok\n" if healthy else b"not found\n")

    def log_message(self, *_args: object) -> None:
        """Probes are not events."""


@contextmanager
def serve_health(port: int) -> Iterator[None]:
    """Serve the endpoint on all addresses of the container while the block runs.

    Raises:
        OSError: the port is taken.
    """
    server = ThreadingHTTPServer(("0.0.0.0", port), _Handler)  # noqa: S104  # probed from outside the container
    thread = Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
