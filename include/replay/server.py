"""The loopback server: each source under its own id, answering as it would have at the run's clock."""

import gzip
import hashlib
import json
import sys
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

from include.replay.encoders import encoders
from include.replay.record import Ask, BadRequest, NoRecord

MAX_BODY = 64 * 2**10


class ReplayServer:
    """`with ReplayServer(clock) as server:` serves the pack on 127.0.0.1, on a free port unless one is given."""

    def __init__(self, clock: datetime, *, port: int = 0):
        self._http = _Server(("127.0.0.1", port), _Handler)
        self._http.clock = clock
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> "ReplayServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def base_url(self, source_id: str) -> str:
        """Where that source is asked instead of at its own host."""
        return f"http://127.0.0.1:{self._http.server_port}/{source_id}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    clock: datetime

    def server_bind(self) -> None:
        # The library's own asks the resolver for this machine's name, which can hang where there is none.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no fault of ours; anything else is, and shows its traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            self.close_connection = True
            return self._fail(HTTPStatus.BAD_REQUEST, "the request has no body of a size that can be right")
        try:
            body = json.loads(self.rfile.read(int(length)))
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return self._fail(HTTPStatus.BAD_REQUEST, "the body is not a JSON object")
        return self._answer(body)

    def _answer(self, body: dict) -> None:
        url = urlsplit(self.path)
        source_id, slash, rest = url.path.removeprefix("/").partition("/")
        ask = Ask(slash + rest, dict(parse_qsl(url.query, keep_blank_values=True)), body)
        try:
            if source_id not in encoders():
                raise NoRecord(f"{source_id[:40]} {ask.path[:80]} {str(body.get('type', ''))[:40]}".rstrip())
            encoder = encoders()[source_id]
            data = encoder.answer(ask, self.server.clock)
        except NoRecord as error:
            self._fail(HTTPStatus.NOT_FOUND, f"the replay pack has no record of {error}")
        except BadRequest as error:
            self._fail(HTTPStatus.BAD_REQUEST, str(error))
        else:
            self._send(HTTPStatus.OK, encoder.MEDIA, data)

    def _fail(self, status: HTTPStatus, message: str) -> None:
        # Said in the status line too, where the client that records the failure reads it.
        reason = message.encode("ascii", "replace").decode()
        self._send(status, "application/json", json.dumps({"error": message}).encode(), reason)

    def _send(self, status: HTTPStatus, media: str, data: bytes, reason: str | None = None) -> None:
        etag = hashlib.sha256(data).hexdigest()[:32]
        self.send_response(status, reason)
        self.send_header("Content-Type", media)
        self.send_header("ETag", f'"{etag}"')
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            # Without a time stamp, so that equal answers are equal bytes on the wire.
            data = gzip.compress(data, mtime=0)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing: what was asked and answered stands in the landing manifest."""
