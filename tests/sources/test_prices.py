"""What the price sources ask for a window, and how their pages follow one another."""

from datetime import UTC, date, datetime

from include.core.source import Request, Window
from include.sources import registry

AT = datetime(2026, 2, 2, 12, 0, tzinfo=UTC)
YEAR = Window(date(2025, 2, 1), date(2026, 2, 3), AT)
NEXT = "https://community-api.coinmetrics.io/v4/timeseries/asset-metrics?assets=btc%2Ceth&next_page_token=MC4w"


def asked(source_id: str, feed: str, window: Window) -> list[Request]:
    """The requests of a feed for a window."""
    return list(registry()[source_id].feed(feed).requests(window))


def test_coinbase_is_asked_for_300_days_a_call_and_for_each_day_once() -> None:
    """Both bounds are inclusive and name candles; a longer call would be refused."""
    spans = [dict(r.params) for r in asked("coinbase", "candles_btc", YEAR)]
    days = [(date.fromisoformat(s["start"][:10]), date.fromisoformat(s["end"][:10])) for s in spans]
    assert days == [(date(2025, 2, 1), date(2025, 11, 27)), (date(2025, 11, 28), date(2026, 2, 2))]
    assert all((end - start).days < 300 for start, end in days)


def test_kraken_is_asked_from_the_day_before_for_its_bound_is_exclusive() -> None:
    """`since` is in seconds."""
    (request,) = asked("kraken", "ohlc_eth", Window(date(2026, 1, 2), date(2026, 1, 5), AT))
    assert dict(request.params) == {"pair": "ETHUSD", "interval": "1440", "since": str(1_767_225_600)}


def test_coingecko_is_asked_back_from_now_and_never_beyond_a_year() -> None:
    """The public plan refuses more than 365 days."""
    assert dict(asked("coingecko", "market_chart_btc", YEAR)[0].params)["days"] == "365"
    week = Window(date(2026, 1, 28), date(2026, 2, 3), AT)
    assert dict(asked("coingecko", "market_chart_btc", week)[0].params)["days"] == "6"


def test_coin_metrics_pages_follow_on_its_own_host_alone() -> None:
    """The next page's parameters are taken, never its host; a page that names itself ends the walk."""
    feed = registry()["coinmetrics"].feed("price")
    (first,) = feed.requests(YEAR)
    page = f'{{"data":[],"next_page_url":"{NEXT}"}}'.encode()
    second = feed.follow(first, page)
    assert second == Request(first.path, (("assets", "btc,eth"), ("next_page_token", "MC4w")))
    assert feed.follow(second, page) is None
    elsewhere = page.replace(b"community-api.coinmetrics.io", b"example.org")
    assert [feed.follow(first, body) for body in (elsewhere, b'{"data":[]}', b"null", b"<html>")] == [None] * 4
