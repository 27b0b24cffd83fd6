"""CoinGecko `market_chart`: daily points in US dollars, each stamped with the midnight that ends its day.

The pack has Bitcoin's prices; market capitalisation, volume and the price of the very moment are left out, not guessed.
"""

from datetime import UTC, datetime, time, timedelta

from include.replay.record import Ask, BadRequest, NoRecord, known

MEDIA = "application/json"
PATH = "/api/v3/coins/bitcoin/market_chart"


def answer(ask: Ask, clock: datetime) -> bytes:
    """The points of the last `days` days that had been given by `clock`."""
    if ask.path != PATH:
        raise NoRecord(f"coingecko {ask.path}")
    days = ask.params.get("days", "")
    if not days.isdecimal() or (ask.params.get("vs_currency"), ask.params.get("interval")) != ("usd", "daily"):
        raise BadRequest("vs_currency is usd, interval is daily and days is a number")
    first = clock.date() - timedelta(days=int(days))
    points = [
        f"[{int(datetime.combine(day + timedelta(days=1), time(0), UTC).timestamp())}000,{row['bitcoin']}]"
        for day, row in known("coingecko", "market_chart_btc", clock).items()
        if day >= first
    ]
    return ('{"prices":[' + ",".join(points) + '],"market_caps":[],"total_volumes":[]}').encode()
