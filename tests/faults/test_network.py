"""Rows 1 to 12 and 38 to 41, 61 of the fault matrix, through the one client against servers on loopback.

Pauses between tries are recorded, not slept; deadlines are below a second.
"""

import gzip
import logging
import multiprocessing
import re
import socket
import ssl
import time
import traceback
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme

from include.core.disk import Spool
from include.core.errors import CapmigError, ConfigError, ContractError, PermanentError, TransientError
from include.core.parse import inflate, sniff
from include.core.source import Request, Source
from include.landing import http
from include.landing.http import Client, Response, redact
from tests.faults.wire import Wire, answer, chunked, drip, hang, head, in_turn, pour, raw, reset_after

# Forked from a warm process that has no threads.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.faults.test_network"])

MB = 2**20
CANARY = "canary-7f3a9c51d2e84b06"
NOW = 1_769_137_620.0  # 2026-01-23T03:07:00Z
CSV = b"date,value\n2026-01-22,4.25\n"
PAGE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Enable JavaScript</body></html>"


@dataclass(frozen=True, slots=True)
class Got(Response):
    """An answer with its body."""

    wire: bytes


class Made:
    """A client with the pauses that it took."""

    def __init__(self, state_dir: Path, base_url: str, key: str = "", interval_s: float = 0.0,
                 key_header: str = "X-Api-Key", key_param: str = "", **options: object):  # fmt: skip
        self.pauses: list[float] = []
        self.spool_dir = state_dir / "incoming"
        source = Source(
            source_id="toy", title="Toy", base_url=base_url, lineage_root="toy", evidence_kind="origin", rank=1,
            licence="none", credit="toy", verified="recorded", feeds=(), min_interval_s=interval_s,
            key_env="TOY_KEY", key_header=key_header, key_param=key_param,
        )  # fmt: skip
        usual = {"deadline_s": 60, "tries": 4, "retry_cap_s": 60, "read_s": 5, "clock": lambda: NOW}
        self.client = Client(
            source=source, base_url=base_url, contact="mailto:ops@example.org", key=key, state_dir=state_dir,
            sleep=self.pauses.append, **usual | options,
        )  # fmt: skip

    def get(self, path: str = "/data", max_bytes: int = 64 * MB, **request: object) -> "Got":
        """One fetch."""
        with Spool(self.spool_dir) as spool:
            response = self.client.fetch(Request(path, **request), max_bytes=max_bytes, into=spool)
            assert spool.n_bytes == spool.path.stat().st_size
            return Got(**asdict(response), wire=spool.open().read())

    def failure(self, path: str = "/data", **request: object) -> CapmigError:
        """The error of one fetch, which must fail in one line with source, rule and action."""
        with pytest.raises(CapmigError) as caught:
            self.get(path, **request)
        assert re.fullmatch(r"toy: .+ \[L\.\w+] -> .+", str(caught.value))
        return caught.value


Make = Callable[..., Made]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make(url, **options)`: a client whose state lies in the test's own directory."""
    return lambda base_url, **options: Made(tmp_path / "http", base_url, **options)


def test_a_whole_answer_is_handed_on_as_it_came(make: Make) -> None:
    """Undecoded bytes, the headers of interest in lower case, an honest request, no cookie kept."""
    wire_bytes = gzip.compress(CSV)
    behaviour = answer(wire_bytes, Content_Encoding="gzip", ETag='"v1"', X_Other="1", Set_Cookie="session=1")
    with Wire(behaviour) as wire:
        made = make(wire.url)
        got = made.get(params=(("series", "DGS10"), ("api_key", CANARY)))
        made.get()
    assert got.wire == wire_bytes
    assert inflate(got.wire, got.headers["content-encoding"], MB) == CSV
    assert got.headers == {"content-encoding": "gzip", "content-length": str(len(wire_bytes)), "etag": '"v1"'}
    assert (got.status, got.attempts) == (200, 1)
    assert got.url == f"{wire.url}/data?series=DGS10&api_key=***"
    assert b"GET /data?series=DGS10&" in wire.heads[0]
    assert b"Accept-Encoding: gzip\r\n" in wire.heads[0]
    assert re.search(rb"User-Agent: capital-migration-warehouse/\d\S+ \(\+mailto:ops@example.org\)", wire.heads[0])
    assert b"ookie" not in wire.heads[1]


def test_a_contact_of_ones_own_takes_the_place_of_the_product_s(make: Make) -> None:
    """A host that wants to know who asks is told by the header that it reads, once."""
    with Wire(answer(CSV)) as wire:
        make(wire.url, key="Example Research research@example.org", key_header="User-Agent").get()
    assert re.findall(rb"(?i)user-agent: ([^\r]*)", wire.heads[0]) == [b"Example Research research@example.org"]


def test_a_post_carries_its_json(make: Make) -> None:
    """Sources that are asked by a JSON body."""
    with Wire(answer(b"[]")) as wire:
        make(wire.url).get("/info", method="POST", json={"type": "metaAndAssetCtxs"})
    assert wire.heads[0].startswith(b"POST /info HTTP/1.1")
    assert wire.heads[0].endswith(b'{"type": "metaAndAssetCtxs"}')


def test_the_environment_is_not_trusted(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a proxy nor .netrc changes what is asked, or says who asks."""
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login x password {CANARY}")
    for name, value in {"HTTP_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9",
                        "NETRC": str(tmp_path / "netrc")}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with Wire(answer(CSV)) as wire:
        assert make(wire.url).get().wire == CSV
    assert b"Authorization" not in wire.heads[0]


def test_row_01_source_down(make: Make) -> None:
    """A closed port: four tries with pauses of 2, 4 and 8 s and some jitter, then one line."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    made = make(f"http://127.0.0.1:{port}")
    error = made.failure()
    assert (type(error), error.rule, error.attempts) == (TransientError, "L.connect", 4)
    assert [2, 4, 8] <= made.pauses <= [2.5, 5, 10]


def flapping(fails: int) -> Callable[..., list]:
    """A resolver that knows no name the first `fails` times."""
    real, left = socket.getaddrinfo, iter([True] * fails)

    def resolve(*args: object, **kwargs: object) -> list:
        if next(left, False):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real(*args, **kwargs)

    return resolve


@pytest.mark.parametrize(("fails", "attempts"), [(3, 4), (4, None)])
def test_row_02_dns(fails: int, attempts: int | None, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves at the fourth try is reached; one that does not is named as such."""
    with Wire(answer(CSV)) as wire:
        made = make(wire.url)
        monkeypatch.setattr(socket, "getaddrinfo", flapping(fails))
        if attempts:
            assert made.get().attempts == attempts
        else:
            error = made.failure()
            assert (error.rule, "does not resolve" in error.message, error.attempts) == ("L.connect", True, 4)


def test_row_02_dns_that_hangs(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver of the system knows no time limit; the deadline holds all the same."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(3))
    started = time.monotonic()
    assert make("http://127.0.0.1:9", deadline_s=0.3).failure().rule == "L.deadline"
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Slow: ", id="header"),
        pytest.param(head(content_length=10_000), id="body"),
        pytest.param(head(), id="close-delimited"),
        pytest.param(head(transfer_encoding="chunked") + b"5;", id="chunk size"),
        pytest.param(head(transfer_encoding="chunked") + b"fff\r\n", id="chunk"),
        pytest.param(b"HTTP/1.1 100 Continue\r\nX: ", id="interim answer"),
    ],
)
def test_row_03_slow_drip(start: bytes, make: Make) -> None:
    """A byte every 50 ms, wherever it drips: the deadline fires, the read timeout does not."""
    with Wire(drip(start)) as wire:
        error = make(wire.url, deadline_s=0.4).failure()
        elapsed = time.monotonic() - wire.times[0]
    assert (type(error), error.rule, error.attempts) == (TransientError, "L.deadline", 1)
    assert 0.3 < elapsed < 0.9


def test_row_04_accept_then_hang(make: Make) -> None:
    """Timeout, retry, fail; and the deadline bounds the tries together."""
    with Wire(hang) as wire:
        error = make(wire.url, read_s=0.1, tries=3).failure()
        assert (type(error), error.rule, error.attempts, len(wire.heads)) == (TransientError, "L.timeout", 3, 3)
        assert make(wire.url, deadline_s=0.3).failure().rule == "L.deadline"


def at(seconds: float) -> str:
    """An HTTP date that many seconds after the clock of these tests."""
    return format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked", "low", "high"),
    [("7", 7, 7), (at(7), 7, 7), ("59", 59, 59), ("soon", 2, 2.5), ("", 2, 2.5), ("-5", 2, 2.5), (at(-60), 2, 2.5),
     ("0", 2, 2.5), ("1e3", 2, 2.5), ("9" * 400, 2, 2.5)],
)  # fmt: skip
def test_row_05_rate_limited(status: int, asked: str, low: float, high: float, make: Make) -> None:
    """`Retry-After` is honoured in both of its forms; what means nothing is the ordinary pause."""
    with Wire(in_turn([answer(status=status, Retry_After=asked), answer(CSV)])) as wire:
        made = make(wire.url)
        assert made.get().attempts == 2
    assert low <= made.pauses[0] <= high


@pytest.mark.parametrize(
    ("asked", "until"),
    [("3600", "2026-01-23T04:07:00"), (at(3600), "2026-01-23T04:07:00"), ("61", "2026-01-23T03:08:01")],
)
def test_row_05_a_pause_above_the_cap_fails_at_once(asked: str, until: str, make: Make) -> None:
    """It is said until when; nobody waits."""
    with Wire(answer(status=429, Retry_After=asked)) as wire:
        made = make(wire.url, deadline_s=9999)
        error = made.failure()
    assert (type(error), error.rule, error.attempts, error.status) == (TransientError, "L.rate_limited", 1, 429)
    assert f"rate limited until {until}" in error.message
    assert made.pauses == []


def test_row_05_a_pause_beyond_the_deadline_is_not_slept(make: Make) -> None:
    """The deadline covers pauses: a try that could only come after it is not waited for."""
    with Wire(answer(status=429, Retry_After="20")) as wire:
        made = make(wire.url, deadline_s=10)
        assert made.failure().rule == "L.rate_limited"
    assert made.pauses == []


@pytest.mark.parametrize("k", [1, 3, 4])
def test_row_06_server_errors_then_an_answer(k: int, make: Make) -> None:
    """Success when k <= 3, and the whole body once."""
    with Wire(in_turn([answer(b"oops", status=500 + i) for i in range(k)] + [answer(CSV)])) as wire:
        made = make(wire.url)
        if k <= 3:
            got = made.get()
            assert (got.wire, got.attempts) == (CSV, k + 1)
        else:
            error = made.failure()
            assert (type(error), error.rule, error.status, error.attempts) == (
                TransientError, "L.status_5xx", 503, 4,
            )  # fmt: skip
    assert len(wire.heads) == min(k + 1, 4)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 410, 451, 204, 206])
def test_refusals_are_never_asked_again(status: int, make: Make) -> None:
    """Another try changes nothing, and a part of an answer is not an answer."""
    with Wire(answer(b"{}" if status != 204 else b"", status=status)) as wire:
        error = make(wire.url).failure()
    assert (type(error), error.rule, error.status) == (PermanentError, f"L.status_{status // 100}xx", status)
    assert (error.attempts, len(wire.heads)) == (1, 1)


@pytest.mark.parametrize("status", [408, 425])
def test_two_client_errors_are_worth_another_try(status: int, make: Make) -> None:
    """The server gave up waiting, or asks to be asked later."""
    with Wire(in_turn([answer(status=status), answer(CSV)])) as wire:
        assert make(wire.url).get().attempts == 2


@pytest.mark.parametrize(
    ("start", "rule"),
    [(head(content_length=len(CSV)) + CSV[:9], "L.reset"), (head(transfer_encoding="chunked") + b"5\r\nda", "L.reset"),
     (head() + CSV[:9], "L.reset"), (b"", "L.reset")],
)  # fmt: skip
def test_row_07_reset(start: bytes, rule: str, make: Make) -> None:
    """Our own retry brings the whole body, and nothing of the torn try is in it."""
    with Wire(in_turn([reset_after(start), answer(CSV)])) as wire:
        got = make(wire.url).get()
        assert (got.wire, got.attempts) == (CSV, 2)
    with Wire(reset_after(start)) as wire:
        error = make(wire.url, tries=2).failure()
    assert (type(error), error.rule, error.attempts) == (TransientError, rule, 2)


@pytest.mark.parametrize(
    "answered",
    [
        pytest.param(head(content_length=len(CSV) + 500) + CSV, id="content-length"),
        pytest.param(head(transfer_encoding="chunked") + chunked(CSV)[:-5], id="no last chunk"),
        pytest.param(head(transfer_encoding="chunked") + chunked(CSV)[:12], id="within a chunk"),
        pytest.param(head(transfer_encoding="chunked") + b"zz\r\n" + CSV, id="chunk size is no number"),
    ],
)
def test_row_08_short_body(answered: bytes, make: Make) -> None:
    """Less than was declared is an error, not a body."""
    with Wire(raw(answered)) as wire:
        error = make(wire.url).failure()
    assert (type(error), error.rule, error.attempts) == (TransientError, "L.short_body", 4)


def test_row_09_gzip_cut_at_every_tenth(make: Make) -> None:
    """Each cut arrives as a whole answer and is refused by gzip's own end; nothing shorter passes."""
    whole = gzip.compress(b"".join(b"2026-01-%02d,%d\n" % (i % 28 + 1, i * i) for i in range(5000)))
    cuts = [whole[: len(whole) * tenth // 10] for tenth in range(10)]
    bodies = [answer(cut, Content_Encoding="gzip") for cut in cuts]
    bodies += [raw(head(Content_Encoding="gzip") + cut) for cut in cuts]
    refused = []
    with Wire(in_turn([*bodies, answer(whole, Content_Encoding="gzip")])) as wire:
        made = make(wire.url)
        for cut in cuts * 2:
            got = made.get()
            assert got.wire == cut
            with pytest.raises(ContractError) as caught:
                inflate(got.wire, got.headers["content-encoding"], MB)
            refused.append(caught.value.rule)
        assert inflate(made.get().wire, "gzip", MB).count(b"\n") == 5000
    assert refused == ["G1.truncated"] * 20


def test_row_09_a_damaged_gzip_is_refused() -> None:
    """One byte of the data, of the CRC or of the length; bytes after the end. Members and padding are allowed."""
    whole = gzip.compress(CSV * 50)
    for position in (15, len(whole) // 2, len(whole) - 8, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        with pytest.raises(ContractError):
            inflate(bytes(damaged), "gzip", MB)
    with pytest.raises(ContractError, match="damaged"):
        inflate(whole + b"tail", "gzip", MB)
    assert inflate(whole + gzip.compress(b"more") + b"\0\0", "x-gzip", MB) == CSV * 50 + b"more"


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
def test_row_39_encodings_that_were_not_asked_for(encoding: str) -> None:
    """Only gzip is asked for; nested encodings are refused rather than peeled."""
    with pytest.raises(ContractError) as caught:
        inflate(gzip.compress(gzip.compress(CSV)), encoding, MB)
    assert caught.value.rule == "G1.encoding"


@pytest.mark.parametrize(
    ("body", "media", "rule"),
    [
        (PAGE, "json", "G1.sniff"), (PAGE, "csv", "G1.sniff"), (PAGE, "xml", "G1.sniff"), (PAGE, "html", "G1.sniff"),
        (b"\xef\xbb\xbf\n <HTML lang=en>Sign in", "csv", "G1.sniff"), (b"<html>", "json", "G1.sniff"),
        (b'<?xml version="1.0"?>\n<!-- x -->\n<!DOCTYPE html PUBLIC "x"><html>', "xml", "G1.sniff"),
        (b"Just a moment...", "csv", "G1.sniff"), (b'{"error": "limit"}', "csv", "G1.sniff"),
        (b"<Error><Code>NoSuchKey</Code></Error>", "csv", "G1.sniff"), (b"Exceeded the daily hits", "json", "G1.sniff"),
        (b'{"error": 1}', "html", "G1.sniff"), (b"date,value", "xml", "G1.sniff"),
        (b"Please limit requests to one every 5 seconds or write to us.", "json", "G1.throttled"),
        (b"\nYou are making Too Many Requests", "csv", "G1.throttled"),
        (b"", "csv", "G1.empty"), (b" \r\n" * 3000, "json", "G1.empty"), (b"\xef\xbb\xbf", "html", "G1.empty"),
        (CSV, "csv", ""), (b"\xef\xbb\xbf" + CSV, "csv", ""), (b" [1]", "json", ""),
        (b'{"html": "<html>"}', "json", ""), (b'{"title": "Too many requests, says the bank"}', "json", ""),
        (b"<!doctype html><html><table></table>", "html", ""), (b'<?xml version="1.0"?><rss/>', "xml", ""),
        (b"<!doctype html><title>Moments</title><p>Just a moment... he said", "html", ""),
        ("日付,値\n".encode("cp932"), "csv", ""),
    ],
)  # fmt: skip
def test_row_11_sniff(body: bytes, media: str, rule: str) -> None:
    """What a feed's media may begin with, whatever the server calls it."""
    if rule:
        with pytest.raises(ContractError) as caught:
            sniff(body, media)
        assert caught.value.rule == rule
    else:
        sniff(body, media)


@pytest.mark.parametrize("content_type", ["text/html", "application/json"])
def test_row_11_error_page_with_200(content_type: str, make: Make) -> None:
    """The client hands it on, to be kept; the sniff refuses it whatever its label says."""
    with Wire(answer(gzip.compress(PAGE), Content_Type=content_type, Content_Encoding="gzip")) as wire:
        got = make(wire.url).get()
    assert got.headers["content-type"] == content_type
    with pytest.raises(ContractError) as caught:
        sniff(inflate(got.wire, "gzip", MB), "json")
    assert caught.value.rule == "G1.sniff"


def high_water() -> float:
    """The most memory this process ever held, in MB."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def growth(state_dir: Path, url: str, max_bytes: int, inflated: int) -> tuple[str, float]:
    """(rule of the refusal, MB by which the process grew) of one fetch and its inflating."""
    made, before = Made(state_dir, url), high_water()
    try:
        got = made.get(max_bytes=max_bytes)
        inflate(got.wire, got.headers["content-encoding"], inflated)
    except CapmigError as error:
        return error.rule, high_water() - before
    return "", high_water() - before


def test_row_38_huge_payload(tmp_path: Path) -> None:
    """A 2 GB stream stops at the cap of 64 MB; the process holds little more than the cap."""
    with Wire(pour(2048 * MB)) as wire:
        with PROCESSES.Pool(1) as pool:
            rule, grown = pool.apply(growth, (tmp_path, wire.url, 64 * MB, 64 * MB))
        assert rule == "L.too_large"
        assert 64 * MB < wire.sent < 80 * MB
        assert grown < 100


def test_row_38_a_body_within_the_cap_is_whole(make: Make) -> None:
    """The cap is inclusive; a declared length above it is refused before the body is read."""
    with Wire(pour(2 * MB)) as wire:
        assert len(make(wire.url).get(max_bytes=2 * MB).wire) == 2 * MB
        wire.sent = 0
        assert make(wire.url).failure(max_bytes=2 * MB - 1).rule == "L.too_large"
    with Wire(raw(head(content_length=10**9) + b"x")) as wire:
        error = make(wire.url).failure()
    assert (type(error), error.rule, error.attempts) == (PermanentError, "L.too_large", 1)


def test_row_39_gzip_bomb(tmp_path: Path) -> None:
    """200 kB that would become 200 MB are refused at the cap of 8 MB, without becoming more than it."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(MB)) for _ in range(200)) + packer.flush()
    assert len(bomb) < 300_000
    with Wire(answer(bomb, Content_Encoding="gzip")) as wire, PROCESSES.Pool(1) as pool:
        rule, grown = pool.apply(growth, (tmp_path, wire.url, MB, 8 * MB))
    assert rule == "G1.too_large"
    assert grown < 40


def served_with(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """A server's context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, str]:
    """A certificate authority, and the bundle that trusts it."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    return ca, str(tmp_path / "ca.pem")


def test_row_40_redirects_are_refused(make: Make, authority: tuple[trustme.CA, str]) -> None:
    """Another host, an internal address, a downgrade, a loop: one request, and nothing at the sink."""
    ca, bundle = authority
    tls = served_with(ca.issue_cert("127.0.0.1"))
    with Wire(answer(b"caught")) as sink:
        targets = [f"{sink.url}/?k={CANARY}", f"//{sink.host}/", "http://169.254.169.254/latest/meta-data/",
                   f"http://user:{CANARY}@{sink.host}/", "/data", ""]  # fmt: skip
        for status in (301, 302, 303, 307, 308):
            for target in targets:
                with Wire(answer(status=status, Location=target, Set_Cookie=f"s={CANARY}"), tls) as wire:
                    error = make(wire.url, key=CANARY, ca_bundle=bundle).failure()
                assert (type(error), error.rule, error.attempts) == (PermanentError, "L.redirect", 1)
                assert len(wire.heads) == 1
                assert CANARY.encode() in wire.heads[0]
                assert CANARY not in str(error)
        assert sink.heads == []


def test_row_40_addresses_that_a_name_must_not_lead_to(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A public name that resolves inwards is refused before anything is connected; so is loopback that leads out."""
    connected = []
    monkeypatch.setattr(http, "create_connection", lambda address, *_, **__: connected.append(address))
    inward = ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104
              "::1", "fd00::1", "fe80::1", "::ffff:10.0.0.1", "224.0.0.1", "ff0e::1"]  # fmt: skip
    for addresses in [[a] for a in inward] + [["93.184.215.14", "10.0.0.1"]]:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 443)) for a in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, found=found, **__: found)
        error = make("https://data.example").failure()
        assert (type(error), error.rule, error.attempts) == (PermanentError, "L.host", 1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("93.184.215.14", 80))])
    assert make("http://localhost").failure().rule == "L.host"
    assert connected == []


def test_row_40_the_address_that_was_checked_is_the_one_connected_to(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look-up of the name: a second one could answer otherwise."""
    real, asked = socket.getaddrinfo, []
    with Wire(answer(CSV)) as wire:
        made = make(wire.url.replace("127.0.0.1", "localhost"))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kinds: asked.append(args[0]) or real(*args, **kinds))
        assert made.get().wire == CSV
    assert asked.count("localhost") == 1


@pytest.mark.parametrize("path", ["//127.0.0.1:9/x", "http://127.0.0.1:9/x", "/../admin", "a/../../admin"])
def test_row_40_a_request_stays_under_its_base_url(path: str, make: Make) -> None:
    """What a page names as its next page cannot lead elsewhere."""
    with Wire(answer(CSV)) as wire:
        error = make(f"{wire.url}/v2/").failure(path)
        make(f"{wire.url}/v2/").get("@127.0.0.1:9/x")
    assert (type(error), error.rule) == (PermanentError, "L.host")
    assert len(wire.heads) == 1
    assert wire.heads[0].startswith(b"GET /v2/@127.0.0.1:9/x ")


def test_plain_http_to_another_host_is_refused(make: Make) -> None:
    """A key would be readable on its way."""
    with pytest.raises(PermanentError, match="not https"):
        make("http://data.example")


def test_row_41_certificates(make: Make, authority: tuple[trustme.CA, str], tmp_path: Path) -> None:
    """Expired, for another host, self-signed, of an unknown authority: refused at the first try, nothing sent."""
    ca, bundle = authority
    dates = {f"not_{edge}": datetime.now(UTC) - timedelta(days=days) for edge, days in (("before", 9), ("after", 1))}
    own = trustme.CA()
    own_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem = tmp_path / "own.pem"
    pem.write_bytes(own.private_key_pem.bytes() + own.cert_pem.bytes())
    own_context.load_cert_chain(pem)
    cases = {
        "expired": served_with(ca.issue_cert("127.0.0.1", **dates)),
        "not valid for": served_with(ca.issue_cert("data.example")),
        "self-signed": own_context,
        "unable to get local issuer": served_with(trustme.CA().issue_cert("127.0.0.1")),
    }  # fmt: skip
    for said, context in cases.items():
        with Wire(answer(CSV), context) as wire:
            error = make(wire.url, key=CANARY, ca_bundle=bundle).failure()
        assert (type(error), error.rule, error.attempts) == (PermanentError, "L.tls", 1), said
        assert said in error.message
        assert wire.heads == []
    good = served_with(ca.issue_cert("127.0.0.1"))
    with Wire(answer(CSV), good) as wire:
        assert make(wire.url, ca_bundle=bundle).get().wire == CSV
        assert make(wire.url).failure().rule == "L.tls"


def test_row_41_verification_is_never_switched_off() -> None:
    """Nowhere in the product."""
    switched_off = re.compile(r"verify\s*=\s*False|CERT_NONE|check_hostname\s*=\s*False|_create_unverified_context")
    files = list((Path(http.__file__).parents[1]).rglob("*.py"))
    assert Path(http.__file__) in files
    assert [f.name for f in files if switched_off.search(f.read_text(encoding="utf-8"))] == []


FAILING = {
    "answered": answer(CSV),
    "404": answer(status=404),
    "500": answer(status=500, Retry_After="1"),
    "429": answer(status=429, Retry_After="9999"),
    "redirect": answer(status=302, Location=f"http://127.0.0.1:9/?key={CANARY}"),
    "reset": reset_after(head(content_length=99) + b"x"),
    "short": raw(head(content_length=99) + b"x"),
    "too large": raw(head(content_length=10**9)),
    "hang": hang,
    "garbage": raw(b"\x00\xff" * 200 + b"\r\n\r\n"),
}


@pytest.mark.parametrize("param", ["", "apikey"])
@pytest.mark.parametrize("fault", FAILING)
def test_row_61_the_key_is_nowhere_but_in_its_place(
    fault: str, param: str, make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a header or of a query. Not in errors, their context or the locals of their frames, logs, reprs, URLs or files."""
    caplog.set_level(logging.DEBUG)
    said = []
    with Wire(FAILING[fault]) as wire:
        place = {"key_header": "", "key_param": param} if param else {}
        made = make(wire.url, key=CANARY, read_s=0.1, tries=2, **place)
        try:
            said.append(repr(made.get()))
        except CapmigError as error:
            while error:
                trace = error.__traceback__.tb_next
                captured = traceback.TracebackException(type(error), error, trace, capture_locals=True)
                said += [str(error), repr(error), repr(vars(error)), *captured.format()]
                error = error.__cause__ or error.__context__
    assert (f"?apikey={CANARY}" if param else f"X-Api-Key: {CANARY}").encode() in wire.heads[0]
    assert said
    said += [caplog.text, repr(made.client), repr(vars(made.client))]
    said += [p.read_bytes().decode("latin-1") for p in tmp_path.rglob("*") if p.is_file()]
    assert [text for text in said if CANARY in text] == []


@pytest.mark.parametrize(
    ("options", "rule"),
    [({"key": f"{CANARY}\r\nX: 1"}, "config.header"), ({"key": f"{CANARY}é"}, "config.header")],
)
def test_row_61_a_key_that_no_header_carries(options: dict, rule: str, make: Make) -> None:
    """Refused at start; the variable is named, the value is not."""
    with pytest.raises(ConfigError) as caught:
        make("https://data.example", **options)
    assert (caught.value.rule, "TOY_KEY" in str(caught.value)) == (rule, True)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [("https://h/a?api_key=s&x=1", "https://h/a?api_key=***&x=1"), ("https://h/?x=1&APIKEY=s#f", "https://h/?x=1&APIKEY=***#f"),
     ("https://h/?x_cg_demo_api_key=s", "https://h/?x_cg_demo_api_key=***"), ("https://h/?keyword=a", "https://h/?keyword=a"),
     ("https://u:p@h/?token=s", "https://h/?token=***"), ("https://h/a@b?x=c@d", "https://h/a@b?x=c@d")],
)  # fmt: skip
def test_redacted_urls(url: str, said: str) -> None:
    """Values of keys go, everything else stays readable."""
    assert redact(url) == said


def test_a_host_that_keeps_failing_is_left_alone(make: Make) -> None:
    """Three failed fetches in a quarter of an hour open the circuit for one, for every process of the warehouse."""
    now = [NOW]
    options = {"tries": 1, "clock": lambda: now[0]}
    with Wire(answer(status=500)) as wire:
        for _ in range(3):
            assert make(wire.url, **options).failure().rule == "L.status_5xx"
            now[0] += 60
        error = make(wire.url, **options).failure()
        assert (type(error), error.rule, error.attempts) == (TransientError, "L.circuit_open", 0)
        assert "not asked until 2026-01-23T03:24:00" in error.message
        now[0] = NOW + 120 + 899
        assert make(wire.url, **options).failure().rule == "L.circuit_open"
        assert len(wire.heads) == 3
        now[0] += 1
        for _ in range(3):  # closed again, until there are three fresh ones
            assert make(wire.url, **options).failure().rule == "L.status_5xx"
        assert make(wire.url, **options).failure().rule == "L.circuit_open"


def test_a_success_or_time_forgets_failures(make: Make) -> None:
    """Failures count in a row and within a quarter of an hour; refusals do not count at all."""
    now = [NOW]
    bad, good, gone = answer(status=500), answer(CSV), answer(status=404)
    with Wire(in_turn([bad, bad, good, bad, bad, gone, gone, bad, bad])) as wire:
        rules = []
        for _ in range(8):
            if len(rules) == 7:
                now[0] += 901
            try:
                made = make(wire.url, tries=1, clock=lambda: now[0])
                rules.append(made.get().status)
            except CapmigError as error:
                rules.append(error.rule)
    assert rules == ["L.status_5xx"] * 2 + [200] + ["L.status_5xx"] * 2 + ["L.status_4xx"] * 2 + ["L.status_5xx"]


def ask(state_dir: Path, url: str) -> None:
    """Five fetches, as fast as the host's turns allow."""
    made = Made(state_dir, url, interval_s=0.15)
    for _ in range(5):
        made.get()


def test_a_hosts_turns_hold_across_processes(make: Make, tmp_path: Path) -> None:
    """Three processes that ask as fast as they may, together not faster than one request an interval."""
    with Wire(answer(CSV)) as wire:
        asking = [PROCESSES.Process(target=ask, args=(tmp_path / "http", wire.url)) for _ in range(3)]
        for process in asking:
            process.start()
        for process in asking:
            process.join(60)
        assert [process.exitcode for process in asking] == [0, 0, 0]
        times = sorted(wire.times)
        assert len(times) == 15
        assert times[-1] - times[0] > 14 * 0.15 * 0.95
        assert max(sum(t <= u < t + 0.45 for u in times) for t in times) <= 4
        error = make(wire.url, interval_s=30, deadline_s=0.2).failure()
    assert (type(error), error.rule) == (TransientError, "L.deadline")
    assert len(wire.heads) == 15


def test_a_clock_set_back_does_not_stop_a_host(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns taken in what is now the future are forgotten."""
    with Wire(answer(CSV)) as wire:
        with monkeypatch.context() as ahead:
            real = time.time_ns
            ahead.setattr("pyrate_limiter.buckets.sqlite_bucket.time_ns", lambda: real() + 86_400 * 10**9)
            make(wire.url, interval_s=0.1).get()
        assert make(wire.url, interval_s=0.1, deadline_s=1).get().wire == CSV
