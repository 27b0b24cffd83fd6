"""Cboe index files: the VIX (percent a year, implied over 30 days) and the S&P 500 (points), closes by session.

Each file is its whole history, oldest day first. The VIX file has open, high, low and close; the S&P 500 file the close
alone. The indices belong to Cboe and to S&P Dow Jones Indices: personal and internal use, no public redistribution.
"""

from functools import partial
from zoneinfo import ZoneInfo

from include.core.page import Wide
from include.core.parse import columns, day, decode, read_csv, refuse
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

PATH = "/api/global/us_indices/daily_prices/{}_History.csv"


def parse(close: str, series_id: str, unit: str, payload: Payload) -> Parsed:
    """The column `close` of a file. Raises `ContractError`."""
    lines = [line for line in read_csv(decode(payload.body, "utf-8"), closed=True) if line]
    if not lines:
        raise refuse("an empty file", "G1.empty")
    at = columns(lines[0], {"day": "DATE", "close": close})
    table = Wide(unit=unit, absent=frozenset({""}), positive=True, read_day=lambda cell: day(cell, "%m/%d/%Y"),
                 limit=payload.seen_at.astimezone(ZoneInfo("America/New_York")).date())  # fmt: skip
    found = table.read(lines[0], lines[1:], at["day"], {at["close"]: series_id})
    return Parsed(found.rows)  # the file speaks for every day


def _feed(index: str, close: str, series_id: str, unit: str) -> Feed:
    def requests(_: Window) -> list[Request]:
        return [Request(PATH.format(index))]

    return Feed(
        name=index.lower(), kind="WINDOW", clock="rates", shape="observation", media="csv",
        parse=partial(parse, close, series_id, unit), restates="all", every_s=20 * 3600,
        release=Release("NYSE", 1, "09:30", "America/New_York"), requests=requests, expects=(series_id,),
    )  # fmt: skip


SOURCE = Source(
    source_id="cboe",
    title="Cboe: VIX and S&P 500 history files",
    base_url="https://cdn.cboe.com",
    lineage_root="cboe",
    evidence_kind="origin",
    rank=1,
    licence="owned by Cboe and S&P Dow Jones Indices: for personal and internal use, no public redistribution",
    credit="Cboe Exchange, Inc.; S&P Dow Jones Indices LLC",
    verified="documented",
    feeds=(
        _feed("VIX", "CLOSE", "VOL.US.VIX", "percent"),
        _feed("SPX", "SPX", "INDEX.US.SPX", "index_point"),
    ),
)
