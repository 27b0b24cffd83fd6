"""Bank of Japan, Time-Series Data Search: overnight call rate, basic loan rate (percent), yen per dollar at 17:00 JST.

The service answers with HTTP 200 and tells errors in the body. A series is two parallel arrays: days written as
integers, and figures, null on days without one. The Bank publishes no series of its policy rate.
"""

import re
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from zoneinfo import ZoneInfo

from include.core.errors import ContractError
from include.core.page import page
from include.core.parse import above_zero, day, member, not_after, number, read_json, refuse, unique
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

NO_DATA = "M181030I"
PERCENT, YEN = "percent", "jpy_per_usd"
_UNITS = {PERCENT: re.compile(r"percentperannum"), YEN: re.compile(r"yen[a-z]*")}  # the letters of the unit's words
_TOKYO = ZoneInfo("Asia/Tokyo")


def requests(database: str, code: str, window: Window) -> list[Request]:
    """One call: daily series are asked by months, both ends inclusive; English, or the names of the keys change."""
    last = max(window.start, window.end - timedelta(days=1))
    return [
        Request("/api/v1/getDataCode", (
            ("format", "json"), ("lang", "en"), ("db", database), ("code", code),
            ("startDate", f"{window.start:%Y%m}"), ("endDate", f"{last:%Y%m}"),
        ))
    ]  # fmt: skip


def next_page(request: Request, body: bytes) -> Request | None:
    """A page that was cut at the service's cap names the position from which to ask again."""
    try:
        position = read_json(body).get("NEXTPOSITION")
    except (ContractError, AttributeError):
        return None  # the page itself was refused when it was parsed
    if position is None or not str(position).isdecimal():
        return None
    kept = tuple(pair for pair in request.params if pair[0] != "startPosition")
    return Request(request.path, (*kept, ("startPosition", str(position))))


def parse(series_id: str, code: str, unit: str, payload: Payload) -> Parsed:
    """The readings of one series. No data for the window is an answer too. Raises `ContractError`."""
    answer = member(read_json(payload.body), None, dict)
    if member(answer, "STATUS", int) != 200:
        raise refuse(f"the service answers {str(answer.get('MESSAGEID'))[:20]}: {str(answer.get('MESSAGE'))[:80]}",
                     "G1.api_error")  # fmt: skip
    results = member(answer, "RESULTSET", list)
    if member(answer, "MESSAGEID", str) == NO_DATA and not results:
        return Parsed()
    if len(results) != 1 or member(results[0], "SERIES_CODE", str) != code:
        raise refuse(f"{len(results)} series where {code} alone is due", "G1.token")
    words = re.sub(r"[^a-z]", "", member(results[0], "UNIT", str).lower())
    if member(results[0], "FREQUENCY", str) != "DAILY" or not _UNITS[unit].fullmatch(words):
        raise refuse(f"{code} is {results[0]['FREQUENCY'][:20]!r} in {results[0]['UNIT'][:40]!r}", "G1.unit")
    values = member(results[0], "VALUES", dict)
    days, figures = member(values, "SURVEY_DATES", list), member(values, "VALUES", list)
    if len(days) != len(figures):
        raise refuse(f"{len(days)} days and {len(figures)} figures", "G1.shape")
    limit = payload.seen_at.astimezone(_TOKYO).date()
    pairs = zip(days, figures, strict=True)
    dated = unique((not_after(_day(stated), limit, "a figure of"), figure) for stated, figure in pairs)
    if not dated:
        raise refuse("a series without a day", "G1.empty")
    rows = [_row(series_id, code, unit, on, figure) for on, figure in dated.items() if figure is not None]
    return page("observation", rows, dated)


def _day(stated: object) -> date:
    if isinstance(stated, bool) or not isinstance(stated, int) or not 19_000_000 < stated < 100_000_000:
        raise refuse(f"not a day: {str(stated)[:40]!r}", "G1.date")
    return day(str(stated), "%Y%m%d")


def _row(series_id: str, code: str, unit: str, on: date, figure: Decimal | int) -> Observation:
    value = number(figure)
    if unit == YEN:
        above_zero(str(figure), f"{code} of {on}")
    return Observation(series_id=series_id, event_date=on, value=value, unit=unit, value_raw=str(figure),
                       locator=f"day={on:%Y%m%d} code={code}", **_ROOTS[unit])  # fmt: skip


# The Bank sets the rates; it measures the market's exchange rate like everyone else.
_ROOTS = {PERCENT: {}, YEN: {"lineage_root": "boj-fx", "evidence_kind": "measurement"}}


def _feed(name: str, series_id: str, database: str, code: str, unit: str) -> Feed:
    return Feed(
        name=name, kind="WINDOW", clock="rates", shape="observation", media="json",
        parse=partial(parse, series_id, code, unit), restates="window",
        # the store is renewed about 08:50 JST, and clients see the last day one or two days later
        release=Release("JP_BANK", 2, "08:50", "Asia/Tokyo"), requests=partial(requests, database, code),
        follow=next_page, expects=(series_id,), empty_ok="the service knows no figure of the window",
    )  # fmt: skip


SOURCE = Source(
    source_id="boj",
    title="Bank of Japan: call rate, basic loan rate, US dollar in Tokyo",
    base_url="https://www.stat-search.boj.or.jp",
    lineage_root="boj",
    evidence_kind="origin",
    rank=1,
    licence="public use allowed with the credit line; the service may stop or change without warning",
    credit="This service uses the API provided by the 'Bank of Japan Time-Series Data Search.' "
           "The Bank of Japan does not guarantee the content of the service.",
    verified="recorded",
    min_interval_s=2.0,
    feeds=(
        _feed("call", "RATE.JP.CALL", "FM01", "STRDCLUCON", PERCENT),
        _feed("loan", "RATE.JP.LOAN", "IR01", "MADR1Z@D", PERCENT),
        _feed("fx", "FX.USDJPY.TOKYO_17", "FM08", "FXERD04", YEN),
    ),
)  # fmt: skip
