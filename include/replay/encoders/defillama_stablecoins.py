"""DefiLlama `/stablecoincharts/all`: one coin's whole chart, a point a UTC day, stamps in seconds as text.

The pack knows the supply in coins of days that are over; dollars, mints and bridges are left out, not guessed. The
point of the day in progress is there, as it is at the service, and holds no reading.
"""

from datetime import UTC, datetime, time, timedelta

from include.replay.record import Ask, BadRequest, NoRecord, known

MEDIA = "application/json"
PATH = "/stablecoincharts/all"
FEEDS = {"1": "usdt", "2": "usdc", "5": "dai", "146": "usde"}


def answer(ask: Ask, clock: datetime) -> bytes:
    """The chart of the coin `stablecoin`, oldest day first, as it stood at `clock`."""
    coin = ask.params.get("stablecoin", "")
    if ask.path != PATH or (coin.isdigit() and coin not in FEEDS):
        raise NoRecord(f"defillama_stablecoins {ask.path} {coin[:10]}")
    if coin not in FEEDS:
        raise BadRequest("stablecoin is the number of a coin")
    table = known("defillama_stablecoins", FEEDS[coin], clock)
    points = {day: f'{{"peggedUSD":{row["peggedUSD"]}}}' for day, row in table.items()}
    points[max(table) + timedelta(days=1)] = "{}"
    return (
        "["
        + ",".join(
            f'{{"date":"{datetime.combine(day, time(0), UTC).timestamp():.0f}","totalCirculating":{said}}}'
            for day, said in points.items()
        )
        + "]"
    ).encode()
