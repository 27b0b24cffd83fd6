"""The one HTTP client: one allowed host, whole bodies or nothing, and an end to every wait.

Bytes are handed on as they came over the wire (`Content-Encoding` is undone later, by `core.parse.inflate`).
Every wait counts against one deadline a fetch: name resolution, connecting, a slow header, a dripping body, the pause
before another try, the turn at a host that several processes ask. Retries cover the whole body.
"""

import http.client
import io
import json
import logging
import random
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import requests
from filelock import FileLock
from requests.adapters import HTTPAdapter
from tenacity import RetryCallState, Retrying, retry_if_exception_type
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3 import exceptions as wire_errors
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection

from include.core import disk
from include.core.clock import iso
from include.core.errors import CapmigError, ConfigError, PermanentError, TransientError
from include.core.parse import PIECE
from include.core.source import Request, Source
from include.settings import is_loopback

KEPT_HEADERS = (
    "content-type", "content-encoding", "content-length", "etag", "last-modified", "date", "retry-after",
)  # fmt: skip
CIRCUIT_FAILURES, CIRCUIT_SECONDS = 3, 900.0
_SECRET = re.compile(
    r"(?i)([?&](?:api[_-]?key|x_cg_(?:demo|pro)_api_key|key|token|access_token|auth|signature|secret)=)[^&#]*"
)
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # below, it quotes queries, and a key may be in one
_LATER = "nothing was landed; the next run of its clock tries again"
_LOOK = "check the source's base URL and declaration"

# What is looked for among an error's causes, in this order.
_MEANINGS = (
    ((socket.gaierror, UnicodeError), ("the host's name does not resolve", "L.connect")),
    ((wire_errors.NewConnectionError,), ("the host takes no connection", "L.connect")),
    ((TimeoutError, wire_errors.TimeoutError), ("the host does not answer in time", "L.timeout")),
    ((ConnectionError, http.client.BadStatusLine), ("the connection broke off", "L.reset")),
    ((wire_errors.ProtocolError,), ("the body ended before its declared end", "L.short_body")),
)
_BROKE_OFF = _MEANINGS[3][1]


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer of status 200. Its undecoded body stands in the spool that was given; `url` is redacted, `seconds`
    includes every wait."""

    status: int
    headers: dict[str, str]
    url: str
    seconds: float
    attempts: int


def redact(url: str) -> str:
    """The URL without the values of key-like query parameters and without user information."""
    return _SECRET.sub(r"\1***", re.sub(r"//[^/?#@]*@", "//", url, count=1))


class Client:
    """Asks one source's host. Not for use by two threads at once.

    Only the host of `base_url` is asked, and only at public addresses: a name that resolves to a private, link-local
    or metadata address is refused. A loopback `base_url` (a replay server) is the exception, and reaches loopback only.
    `retry_cap_s` bounds every pause, also one that the source asks for by `Retry-After`. `state_dir` holds what
    processes share about a host: its turn (`source.min_interval_s`; 0 asks without turns) and its recent failures.
    """

    def __init__(
        self, *, source: Source, base_url: str, contact: str, state_dir: Path, key: str = "", deadline_s: float,
        tries: int, retry_cap_s: float, connect_s: float = 3, read_s: float = 10,
        sleep: Callable[[float], None] = time.sleep, ca_bundle: str | bool = True,
        clock: Callable[[], float] = time.time,
    ):  # fmt: skip
        parts = urlsplit(base_url)
        self._source_id, self._base = source.source_id, base_url.rstrip("/")
        self._loopback = is_loopback(base_url)
        if parts.scheme != "https" and not (parts.scheme == "http" and self._loopback):
            raise self._failure(PermanentError, "the base URL is not https", "L.host", _LOOK)
        if key and not (source.key_header or source.key_param):
            raise ConfigError("a key is set, and the source declares no place for it", source=source.source_id,
                              rule="config.key_header", action=f"unset {source.key_env}")  # fmt: skip
        self._deadline_s, self._tries, self._cap_s = deadline_s, tries, retry_cap_s
        self._timeouts, self._sleep, self._clock = (connect_s, read_s), sleep, clock
        self._budget = _Budget(read_s)
        self._key_param, self._secret = source.key_param, lambda: key  # where no repr shows it
        self._session = self._open(source, contact, key, ca_bundle)
        self._retrying = Retrying(
            retry=retry_if_exception_type(TransientError), wait=self._pause, stop=self._is_last, sleep=self._sleep,
            reraise=True,
        )  # fmt: skip
        disk.make_dir(state_dir)
        host = f"{parts.hostname}_{parts.port or parts.scheme}"
        self._pace = _Pace(state_dir / f"{host}.sqlite", source.min_interval_s) if source.min_interval_s else None
        self._circuit = _Circuit(state_dir / f"{host}.failures", clock)

    def _open(self, source: Source, contact: str, key: str, ca_bundle: str | bool) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = ca_bundle
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        release = version("capital-migration-warehouse")
        agent = _field(f"capital-migration-warehouse/{release} (+{contact})", "CAPMIG_CONTACT")
        session.headers.clear()
        session.headers.update({"User-Agent": agent, "Accept": "*/*", "Accept-Encoding": "gzip"})
        session.headers.update(source.headers)
        if key and _field(key, source.key_env) and source.key_header:
            session.headers[source.key_header] = key
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(self._budget, self._loopback))
        return session

    def fetch(self, request: Request, *, max_bytes: int, into: disk.Spool) -> Response:
        """The whole answer to one request, at most `max_bytes` on the wire, written to `into` as it comes.

        `TransientError`: L.connect, L.timeout, L.deadline, L.reset, L.short_body, L.rate_limited, L.status_4xx (408,
        425), L.status_5xx, L.circuit_open. `PermanentError`: L.host, L.request, L.redirect, L.tls, L.too_large,
        L.status_2xx (not 200), L.status_4xx. Both carry `.status` (0: no answer) and `.attempts`.
        """
        until = self._circuit.open_until()
        if until is not None:
            raise self._failure(TransientError, f"not asked until {_at(until)}: {CIRCUIT_FAILURES} fetches failed "
                                "shortly before", "L.circuit_open", _LATER)  # fmt: skip
        prepared = self._prepare(request)
        started = time.monotonic()
        self._budget.start(self._deadline_s)
        try:
            response = self._retrying(self._attempt, prepared, max_bytes, into)
        except CapmigError as error:
            error.attempts = self._retrying.statistics["attempt_number"]
            if isinstance(error, TransientError):
                self._circuit.failed()
            raise
        self._circuit.succeeded()
        return Response(
            status=response.status_code, url=redact(prepared.url), seconds=time.monotonic() - started,
            headers={name: response.headers[name] for name in KEPT_HEADERS if name in response.headers},
            attempts=self._retrying.statistics["attempt_number"],
        )  # fmt: skip

    def _prepare(self, request: Request) -> requests.PreparedRequest:
        """The request as it will be sent; refuses one that would leave the base URL."""
        path = request.path
        url = f"{self._base}/{path.lstrip('/')}" if path else self._base
        prepared = requests.PreparedRequest()  # by itself: there are no cookies or proxies of the session to merge in
        try:
            prepared.prepare(request.method, url, headers=self._session.headers, json=request.json,
                             params=self._params(request) or None)  # fmt: skip
            asked, base = urlsplit(prepared.url)._replace(query=""), urlsplit(self._base)
            same = (asked.scheme, asked.hostname, asked.port) == (base.scheme, base.hostname, base.port)
        except ValueError:  # so are the errors of requests about URLs and headers
            raise self._failure(PermanentError, "the request cannot be formed", "L.request", _LOOK) from None
        if not same or "://" in path or path.startswith("//") or not asked.path.startswith(base.path):
            raise self._failure(PermanentError, "the request leads away from the base URL", "L.host", _LOOK)
        return prepared

    def _params(self, request: Request) -> list[tuple[str, str]]:
        """The query, with the key where the service takes it there alone."""
        keyed = self._key_param and self._secret()
        return [*request.params, *([(self._key_param, self._secret())] if keyed else [])]

    def _attempt(self, prepared: requests.PreparedRequest, max_bytes: int, into: disk.Spool) -> requests.Response:
        into.restart()
        if self._pace and not self._pace.wait(self._budget.left()):
            raise self._failure(TransientError, f"no turn at this host within {self._deadline_s:g} s", "L.deadline",
                                _LATER)  # fmt: skip
        try:
            with self._session.send(prepared, stream=True, allow_redirects=False, timeout=self._timeouts) as response:
                self._check_status(response)
                self._read(response, max_bytes, into)
                return response
        except _OwnDisk as error:
            raise error.__cause__ from None
        except (requests.RequestException, wire_errors.HTTPError, OSError) as error:
            failure = self._classify(error)
        # Raised out here, without the context whose frames hold the request's headers: a key is in them.
        raise failure

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        rule, kind, said, after = f"L.status_{status // 100}xx", PermanentError, self._said(response), None
        if 300 <= status < 400:
            rule, said = "L.redirect", f"HTTP {status}, a redirect to {_target(response.headers.get('location', ''))}"
        elif status in (408, 425, 429) or status >= 500:
            kind, after = TransientError, _retry_after(response.headers.get("retry-after", ""), self._clock())
            if status == 429 or after:
                rule = "L.rate_limited"
                said += f", rate limited until {_at(self._clock() + after)}" if after else ", rate limited"
        failure = self._failure(kind, said, rule, _LATER if kind is TransientError else _LOOK, status)
        failure.retry_after = after
        raise failure

    def _said(self, response: requests.Response) -> str:
        """The status line as the source wrote it, without what a terminal should not see or a key that it echoes."""
        reason = "".join(c for c in response.reason or "" if c.isprintable())[:120]
        key = self._secret()
        return f"HTTP {response.status_code}" + (f" {reason}" if reason and not (key and key in reason) else "")

    def _read(self, response: requests.Response, max_bytes: int, into: disk.Spool) -> None:
        too_large = (response.raw.length_remaining or 0) > max_bytes
        if not too_large:
            for piece in response.raw.stream(PIECE, decode_content=False):
                too_large = into.n_bytes + len(piece) > max_bytes
                if too_large:
                    break
                try:
                    into.write(piece)
                except OSError as error:
                    raise _OwnDisk from error
        if too_large:
            raise self._failure(PermanentError, f"the body is larger than {max_bytes:,} bytes", "L.too_large",
                                "look at what the source sends; raise the feed's `max_bytes` if it is right",
                                response.status_code)  # fmt: skip

    def _classify(self, error: Exception) -> CapmigError:
        """What a failure of the transport means. Its text never enters: it may quote URLs and headers."""
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, _NotAdmitted):
                return self._failure(PermanentError, f"the host's name leads to the address {cause}", "L.host",
                                     "check the base URL, and who answers for its name")  # fmt: skip
            if isinstance(cause, ssl.SSLCertVerificationError):
                return self._failure(PermanentError, f"the TLS certificate is refused: {cause.verify_message}",
                                     "L.tls", "check the host and the machine's clock")  # fmt: skip
        if self._budget.left() < 0.01:
            return self._failure(TransientError, f"no whole answer within {self._deadline_s:g} s", "L.deadline", _LATER)
        said, rule = next((m for kinds, m in _MEANINGS if any(isinstance(c, kinds) for c in causes)), _BROKE_OFF)
        return self._failure(TransientError, said, rule, _LATER)

    def _pause(self, state: RetryCallState) -> float:
        """Seconds before the next try: what the source asks for, else 2, 4, 8, 16 with up to a quarter more."""
        asked = getattr(state.outcome.exception(), "retry_after", None)
        jitter = 1 + random.random() / 4  # noqa: S311 - spreads retries, hides nothing
        return asked or min(self._cap_s, 2**state.attempt_number * jitter)

    def _is_last(self, state: RetryCallState) -> bool:
        too_long = state.upcoming_sleep > self._cap_s or state.upcoming_sleep >= self._budget.left()
        return too_long or state.attempt_number >= self._tries

    def _failure(self, kind: type[CapmigError], said: str, rule: str, action: str, status: int = 0) -> CapmigError:
        error = kind(said, source=self._source_id, rule=rule, action=action)
        error.status, error.attempts = status, 0
        return error


def _field(text: str, name: str) -> str:
    """A header value; one that would not survive the wire is refused without being quoted."""
    if not re.fullmatch(r"[!-~]+( [!-~]+)*", text):
        raise ConfigError(f"{name} holds characters that a header cannot carry", rule="config.header",
                          action=f"write {name} in printable ASCII, without line breaks")  # fmt: skip
    return text


def _at(seconds: float) -> str:
    return iso(datetime.fromtimestamp(int(seconds), UTC))


def _target(location: str) -> str:
    host = re.match(r"(?:[a-zA-Z]+:)?//(?:[^/?#@]*@)?([^/?#@\s]{1,80})", location)
    return host[1] if host else "another path"


def _retry_after(text: str, now: float) -> float | None:
    """Seconds that `Retry-After` asks for: a number or an HTTP date. None if it says nothing usable."""
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        seconds = float(text)
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return seconds if seconds > 0 else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class _OwnDisk(Exception):  # noqa: N818 - never leaves this module
    """Our own disk failed, not the host: no other try, and no outcome of the source."""


class _NotAdmitted(OSError):
    """An address that this client does not connect to."""


class _Budget:
    """What is left of the seconds that one fetch may take."""

    def __init__(self, read_s: float):
        self.read_s, self._ends = read_s, 0.0

    def start(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def left(self) -> float:
        return max(0.0, self._ends - time.monotonic())


class _TimedReader(io.RawIOBase):
    """A socket's stream that waits for each read no longer than the budget: a drip cannot outlast it anywhere."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, budget: _Budget):
        self._raw, self._sock, self._budget = raw, sock, budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:
        left = min(self._budget.read_s, self._budget.left())
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Guarded:
    """Mixed into urllib3's connections: only admitted addresses, and all reads within the budget."""

    budget: _Budget
    loopback: bool

    def _new_conn(self) -> socket.socket:
        failure = None
        for address in self._addresses():
            try:
                patience = max(0.001, min(self.timeout, self.budget.left()))
                return create_connection((address, self.port), patience, socket_options=self.socket_options)
            except OSError as error:
                failure = error
        if isinstance(failure, TimeoutError):
            raise wire_errors.ConnectTimeoutError(self, "timed out") from failure
        raise wire_errors.NewConnectionError(self, "no address takes a connection") from failure

    def _addresses(self) -> list[str]:
        """The host's addresses, all of them admitted. What was checked is what is connected to: one look-up."""
        found = Future()

        def look_up() -> None:
            try:
                found.set_result(socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                found.set_exception(error)

        # The system's resolver takes no time limit, so it is waited for from outside.
        Thread(target=look_up, daemon=True).start()
        try:
            addresses = list(dict.fromkeys(info[4][0] for info in found.result(self.budget.left())))
        except TimeoutError as error:
            raise wire_errors.ConnectTimeoutError(self, "timed out") from error
        except (OSError, UnicodeError) as error:
            raise wire_errors.NewConnectionError(self, "no such name") from error
        for address in addresses:
            if not _admitted(address, self.loopback):
                raise _NotAdmitted(address)
        return addresses

    def response_class(self, sock: socket.socket, *args: object, **kwargs: object) -> http.client.HTTPResponse:
        """http.client's hook: what reads an answer from a connected socket."""
        response = http.client.HTTPResponse(sock, *args, **kwargs)
        response.fp = io.BufferedReader(_TimedReader(response.fp.detach(), sock, self.budget))
        return response


def _admitted(address: str, loopback: bool) -> bool:
    ip = ip_address(address)
    return ip.is_loopback if loopback else ip.is_global and not ip.is_multicast


class _Adapter(HTTPAdapter):
    def __init__(self, budget: _Budget, loopback: bool):
        self._guard = {"budget": budget, "loopback": loopback}
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: object, **kwargs: object) -> None:
        """requests' hook: the pools of both schemes, making guarded connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            scheme: type("Pool", (pool,), {"ConnectionCls": type("Connection", (_Guarded, connection), self._guard)})
            for scheme, pool, connection in (
                ("http", HTTPConnectionPool, HTTPConnection),
                ("https", HTTPSConnectionPool, HTTPSConnection),
            )
        }


class _Pace:
    """One request an interval to a host, over all processes of a warehouse."""

    def __init__(self, path: Path, interval_s: float):
        from pyrate_limiter import Limiter, Rate, SingleBucketFactory, SQLiteBucket  # takes long to import

        interval = round(interval_s * 1000)
        bucket = SQLiteBucket.init_from_file([Rate(1, interval)], db_path=str(path), use_file_lock=True)
        now, latest = bucket.now(), bucket.peek(0)
        if latest and latest.timestamp > now + interval:  # the machine's clock was set back
            bucket.flush()
        bucket.leak(now)
        self._limiter = Limiter(SingleBucketFactory(bucket, schedule_leak=False))

    def wait(self, seconds: float) -> bool:
        """Take the next turn; False if it does not come within `seconds`."""
        return self._limiter.try_acquire(timeout=seconds)


class _Circuit:
    """Leaves a host alone for a while after fetches from it failed in a row, whichever process they belonged to."""

    def __init__(self, path: Path, clock: Callable[[], float]):
        self._path, self._clock = path, clock
        self._lock = FileLock(f"{path}.lock")

    def open_until(self) -> float | None:
        """The instant at which the host may be asked again, if that is not now."""
        failed_at, now = self._failures(), self._clock()
        if len(failed_at) < CIRCUIT_FAILURES or failed_at[-1] - failed_at[0] >= CIRCUIT_SECONDS:
            return None
        until = failed_at[-1] + CIRCUIT_SECONDS
        return until if failed_at[-1] <= now < until else None

    def failed(self) -> None:
        with self._lock:
            failed_at = [*self._failures(), self._clock()][-CIRCUIT_FAILURES:]
            disk.write_over(self._path, "".join(json.dumps({"failed_at": at}) + "\n" for at in failed_at).encode())

    def succeeded(self) -> None:
        if self._path.exists():
            with self._lock:
                disk.remove_file(self._path)

    def _failures(self) -> list[float]:
        try:
            return [float(json.loads(line)["failed_at"]) for line in self._path.read_text().splitlines()]
        except (FileNotFoundError, ValueError, KeyError, TypeError):  # advice: without it the host is simply asked
            return []
