"""Coin Metrics, community data: the price in US dollars at the end of each UTC day; a compilation of many venues.

Daily, one to two days behind, and for non-commercial use. A row's time is the beginning of the day that its figure
closes, with nanoseconds.
"""

from datetime import UTC, timedelta
from urllib.parse import parse_qsl, urlsplit

from include.core.errors import ContractError
from include.core.page import daily_closes
from include.core.parse import day, member, read_json, refuse
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

HOST = "https://community-api.coinmetrics.io"
PATH = "/v4/timeseries/asset-metrics"
ASSETS = {"btc": "BTC", "eth": "ETH"}


def parse(payload: Payload) -> Parsed:
    """One page of both assets; a null price is no reading. Raises `ContractError`."""
    answer = read_json(payload.body)
    if isinstance(answer, dict) and "error" in answer:
        raise refuse(f"error: {str(answer['error'])[:80]}", "G1.api_error")
    cells = []
    for item in member(answer, "data", list):
        asset, price = member(item, "asset", str), member(item, "PriceUSD", object)
        if asset not in ASSETS:
            raise refuse(f"a row of {asset[:20]!r} among {', '.join(ASSETS)}", "G1.token")
        event_date = day(member(item, "time", str), "%Y-%m-%dT00:00:00.000000000Z")
        if price is not None:
            cells.append((ASSETS[asset], event_date, member(price, None, str)))
    return daily_closes(cells, payload.seen_at.astimezone(UTC).date())


def requests(window: Window) -> list[Request]:
    """The first page; both bounds are inclusive."""
    span = (("start_time", str(window.start)), ("end_time", str(window.end - timedelta(days=1))))
    what = (("assets", ",".join(ASSETS)), ("metrics", "PriceUSD"), ("frequency", "1d"), ("page_size", "10000"))
    return [Request(PATH, what + span)]


def next_page(request: Request, body: bytes) -> Request | None:
    """The page that the answer names, asked of the declared host and path alone, whatever its address says."""
    try:
        answer = read_json(body)
        following = urlsplit(member(answer, "next_page_url", str)) if "next_page_url" in answer else None
    except (ContractError, TypeError, ValueError):
        return None  # the page itself was refused when it was parsed
    params = tuple(parse_qsl(following.query)) if following else ()
    same = following and f"{following.scheme}://{following.netloc}{following.path}" == HOST + PATH
    return Request(PATH, params) if same and params and params != request.params else None


SOURCE = Source(
    source_id="coinmetrics",
    title="Coin Metrics community data: daily reference prices",
    base_url=HOST,
    lineage_root="coinmetrics",
    evidence_kind="compilation",
    rank=3,
    licence="CC BY-NC 4.0: non-commercial use, attribution",
    credit="Coin Metrics",
    verified="documented",
    feeds=(
        Feed(
            name="price", kind="WINDOW", clock="onchain", shape="observation", media="json", parse=parse,
            restates="window", release=Release("UTC247", 2, "12:00"), requests=requests, follow=next_page,
        ),
    ),
)  # fmt: skip
