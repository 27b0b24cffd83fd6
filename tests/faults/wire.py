"""Loopback servers that misbehave on the wire, which no WSGI server can.

    with Wire(answer(b"a,b")) as wire:
        client.fetch(...)          # against wire.url
        wire.heads                 # what arrived, a request each, as bytes

A behaviour is called with the connected socket and the number of the request (0, 1, ...); the connection is closed
when it returns. `Wire.sent` counts the bytes that `pour` got rid of, `Wire.stopping` ends what waits.
"""

import contextlib
import itertools
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

Behaviour = Callable[["Wire", socket.socket, int], None]


class Wire:
    """One server on a free port of 127.0.0.1, a thread a connection."""

    def __init__(self, behaviour: Behaviour, tls: ssl.SSLContext | None = None):
        self.behaviour, self.tls = behaviour, tls
        self.heads: list[bytes] = []
        self.times: list[float] = []
        self.sent = 0
        self.stopping = threading.Event()
        self._numbers = itertools.count()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"

    def __enter__(self) -> "Wire":
        self._threads[0].start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self.stopping.is_set():
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(5)
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                if head := _read_request(connection):
                    self.times.append(time.monotonic())
                    self.heads.append(head)
                    self.behaviour(self, connection, next(self._numbers))


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(h[15:]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def head(status: int = 200, **headers: str | int) -> bytes:
    """A status line and headers: `content_length=5` is `content-length: 5`."""
    lines = [f"HTTP/1.1 {status} Said", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "connection: close", "", ""]).encode("latin-1")


def answer(body: bytes = b"", status: int = 200, **headers: str | int) -> Behaviour:
    """A well-formed answer, with its true length unless another is given."""
    return raw(head(status, **{"content_length": len(body)} | headers) + body)


def raw(data: bytes) -> Behaviour:
    """Exactly these bytes, then the end of the connection."""
    return lambda wire, connection, n: connection.sendall(data)


def in_turn(behaviours: Sequence[Behaviour]) -> Behaviour:
    """The n-th behaviour for the n-th request; the last one goes on."""
    return lambda wire, connection, n: behaviours[min(n, len(behaviours) - 1)](wire, connection, n)


def reset_after(data: bytes) -> Behaviour:
    """These bytes, then RST."""

    def behave(wire: Wire, connection: socket.socket, n: int) -> None:
        connection.sendall(data)
        time.sleep(0.05)  # let the bytes arrive: a reset overtakes what is still on its way
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return behave


def hang(wire: Wire, connection: socket.socket, n: int) -> None:
    """Takes the request and never says a byte."""
    wire.stopping.wait(30)


def drip(start: bytes, every_s: float = 0.05) -> Behaviour:
    """`start`, then one byte at a time without an end: the read timeout never fires."""

    def behave(wire: Wire, connection: socket.socket, n: int) -> None:
        connection.sendall(start)
        while not wire.stopping.wait(every_s):
            connection.sendall(b"1")

    return behave


def pour(n_bytes: int) -> Behaviour:
    """A chunked body of `n_bytes`, as fast as it is taken; `wire.sent` says how much went out."""

    def behave(wire: Wire, connection: socket.socket, n: int) -> None:
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        connection.sendall(head(transfer_encoding="chunked"))
        while wire.sent < n_bytes and not wire.stopping.is_set():
            connection.sendall(chunk)
            wire.sent += 0x10000
        connection.sendall(b"0\r\n\r\n")

    return behave


def chunked(body: bytes, size: int = 100) -> bytes:
    """A body in chunks, whole."""
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
