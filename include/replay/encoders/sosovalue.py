"""SoSoValue v2 `historicalInflowChart`: totals in the documented shape (`{list: []}`), funds in the bare array.

The pack has net inflows that the press quoted, in US$ million; every other field is null.
"""

from datetime import datetime
from decimal import Decimal

from include.replay.record import Ask, BadRequest, NoRecord, known

MEDIA = "application/json"
PATH = "/openapi/v2/etf/historicalInflowChart"
FEEDS = {"us-btc-spot": "history_btc", "Etf_NASDAQ_IBIT": "fund_ibit", "Etf_CBOE_FBTC": "fund_fbtc"}
UNKNOWN = ("totalValueTraded", "totalNetAssets", "cumNetInflow")


def answer(ask: Ask, clock: datetime) -> bytes:
    """The sessions of one `type` of which a figure is on record, dollars as the service prints them."""
    kind = ask.body.get("type")
    if ask.path != PATH:
        raise NoRecord(f"sosovalue {ask.path}")
    if not isinstance(kind, str):
        raise BadRequest("the body names no type")
    if kind not in FEEDS:
        raise NoRecord(f"sosovalue {kind[:40]}")
    nulls = "".join(f',"{name}":null' for name in UNKNOWN)
    rows = [
        f'{{"date":"{day}","totalNetInflow":{Decimal(row["totalNetInflow"]).scaleb(6):.1f}{nulls}}}'
        for day, row in known("sosovalue", FEEDS[kind], clock).items()
    ]
    listed = FEEDS[kind].startswith("history")
    data = '{"list":[' + ",".join(reversed(rows)) + "]}" if listed else "[" + ",".join(rows) + "]"
    return f'{{"code":0,"msg":null,"data":{data}}}'.encode()
