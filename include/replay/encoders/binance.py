"""Binance USD-M futures: funding rates of one symbol, oldest first.

The pack has the rates and their stamps; mark prices of the rows are left blank, as the service does where it has none.
Open interest of these months is not on record.
"""

from datetime import datetime

from include.replay.record import Ask, BadRequest, NoRecord, known

MEDIA = "application/json"
PATH = "/fapi/v1/fundingRate"


def answer(ask: Ask, clock: datetime) -> bytes:
    """Every rate of `symbol` from `startTime` to `endTime`, both inclusive, that had been paid by `clock`."""
    if ask.path != PATH:
        raise NoRecord(f"binance {ask.path}")
    symbol = ask.params.get("symbol", "")
    try:
        start, end = (int(ask.params[name]) for name in ("startTime", "endTime"))
    except (KeyError, ValueError):
        raise BadRequest("startTime and endTime are milliseconds") from None
    stamped = {}
    for row in known("binance", "funding", clock).values():
        stamped |= {int(series.split("@")[1]): rate for series, rate in row.items() if series.split("@")[0] == symbol}
    if not stamped or end < min(stamped):
        raise NoRecord(f"binance funding of {symbol[:20]} before {end}")
    rows = (
        f'{{"symbol":"{symbol}","fundingTime":{ms},"fundingRate":"{stamped[ms]}","markPrice":""}}'
        for ms in sorted(stamped)
        if start <= ms <= end
    )
    return ("[" + ",".join(rows) + "]").encode()
