"""Farside Investors: net flows of US spot ETFs by fund and session, US$ million with one decimal.

Never fetched: the site turns servers away and its terms were not found, so a person saves the page. A printed Total is
the running sum of the cells filled so far; over a row without a reading it is a placeholder. So is a row of zeros while
the session is open: the table filled 3 February 2026 with 0.0 half an hour after the open and blanked it again.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from zoneinfo import ZoneInfo

from lxml import etree, html

from include.core.page import page
from include.core.parse import CONTEXT, day, decode, not_after, number, refuse
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Source

FIRST = date(2024, 1, 11)  # no US spot fund traded before
NEW_YORK, CLOSE = ZoneInfo("America/New_York"), time(16)
NOT_SESSIONS = frozenset({"Fee", "Seed", "Total", "Average", "Maximum", "Minimum"})
ABSENT = frozenset({"-", ""})
MAX_TOTAL, MAX_GAP = Decimal(3000), Decimal(2)  # US$ million: one session's total; total against its funds
SETTLED, LOOK_BACK, MAX_MISSING = timedelta(days=7), 120, 5
_SESSION = re.compile(r"\d{2} [A-Z][a-z]{2} \d{4}", re.ASCII)
_TICKER = re.compile(r"[A-Z]{2,6}", re.ASCII)

Sessions = dict[date, dict[str, str]]  # cells by column, as printed


def parse(asset: str, required: frozenset[str], payload: Payload) -> Parsed:
    """A saved all-data or recent page of `asset`. Raises `ContractError` unless the table is as it always was."""
    header, *body = _table(payload.body) or [[]]
    columns = _columns(header, required)
    last = payload.seen_at.astimezone(NEW_YORK).date()
    sessions: Sessions = {}
    for event_date, cells in _sessions(body, columns):
        if not_after(event_date, last, "a session of") < FIRST:
            raise refuse(f"a session of {event_date}, before the first fund", "G1.date")
        if sessions.setdefault(event_date, cells) != cells:
            raise refuse(f"two rows for {event_date}", "G1.conflict")
    if not sessions:
        raise refuse("a table without sessions", "G1.empty")
    _complete(sessions)
    rows = (row for event_date, cells in sessions.items() for row in _rows(asset, event_date, cells, payload.seen_at))
    return page("observation", rows, sessions)


def _table(body: bytes) -> list[list[str]]:
    """The one table of class `etf`, as lines of cells without mark-up."""
    text = decode(body, "utf-8")
    if "just a moment..." in text.lower():
        raise refuse("a challenge page instead of the table", "G1.challenge", "save the page from a browser")
    try:
        # Encoded once more, so that a charset that the page declares for its server's bytes changes nothing.
        document = html.document_fromstring(text.encode(), parser=html.HTMLParser(encoding="utf-8"))
    except (etree.LxmlError, ValueError):
        raise refuse("not an HTML page", "G1.syntax") from None
    tables = document.xpath("//table[contains(concat(' ', normalize-space(@class), ' '), ' etf ')]")
    if len(tables) != 1:
        raise refuse(f"{len(tables)} tables of class etf", "G1.layout")
    if tables[0].xpath(".//*[@colspan or @rowspan] | .//table"):
        raise refuse("cells of the table span columns or rows", "G1.layout")
    if "</table>" not in text.lower():
        raise refuse("the page is cut off within the table", "G1.truncated")
    return [[" ".join(cell.text_content().split()) for cell in row.xpath("./th | ./td")]
            for row in tables[0].xpath(".//tr")]  # fmt: skip


def _columns(header: list[str], required: frozenset[str]) -> list[str]:
    """The column of each cell after the date: tickers, and Total, which comes last and may be nameless."""
    tickers = header[1:-1]
    good = len(header) > 2 and header[0] in ("Date", "") and header[-1] in ("Total", "")
    if not good or len(set(tickers)) != len(tickers) or not all(map(_TICKER.fullmatch, tickers)):
        raise refuse("the header is not a date, tickers and a total", "G1.columns")
    if missing := sorted(required.difference(tickers)):
        raise refuse(f"no column for {', '.join(missing)}", "G1.columns")
    return [*tickers, "TOTAL"]


def _sessions(body: list[list[str]], columns: list[str]) -> Iterator[tuple[date, dict[str, str]]]:
    for label, *cells in filter(any, body):
        if len(cells) != len(columns):
            raise refuse(f"row {label[:20]!r} has {len(cells)} cells under {len(columns)} columns", "G1.columns")
        if _SESSION.fullmatch(label):
            yield day(label, "%d %b %Y"), dict(zip(columns, cells, strict=True))
        elif label not in NOT_SESSIONS:
            raise refuse(f"unknown row {label[:20]!r}", "G1.token")


def _complete(sessions: Sessions) -> None:
    """Refuse a page on which funds that report before and after are missing on many settled sessions.

    Looked for in the last 120 sessions: a genuine page has one such hole in about thirty sessions, never more.
    """
    settled = [sessions[d] for d in sorted(sessions) if d <= max(sessions) - SETTLED][-LOOK_BACK:]
    readings = {ticker: [cells[ticker] not in ABSENT for cells in settled] for ticker in next(iter(sessions.values()))}
    holes = {
        at
        for ticker, filled in readings.items()
        for at, cells in enumerate(settled)
        if not filled[at] and any(filled[:at]) and any(filled[at:]) and cells["TOTAL"] not in ABSENT | {"0.0"}
    }
    if len(holes) > MAX_MISSING:
        raise refuse(f"{len(holes)} settled sessions lack a fund that reports before and after", "G1.incomplete")


def _rows(asset: str, event_date: date, cells: dict[str, str], seen_at: datetime) -> Iterator[Observation]:
    known = {t: number(raw, grouped=True, parens=True) for t, raw in cells.items() if raw not in ABSENT}
    if not any(known.values()) and seen_at < datetime.combine(event_date, CLOSE, NEW_YORK):
        known = {"TOTAL": known["TOTAL"]} if "TOTAL" in known else {}
    total = known.get("TOTAL")
    funds = [value for ticker, value in known.items() if ticker != "TOTAL"]
    if total is not None and (abs(total) > MAX_TOTAL or abs(total - sum(funds, Decimal(0))) > MAX_GAP):
        raise refuse(f"the total of {event_date} is not the sum of its funds, or beyond reason", "G1.identity")
    for ticker, value in known.items():
        status = "reported_zero" if value == 0 and ticker != "TOTAL" else "final" if funds else "not_yet"
        yield Observation(
            series_id=f"ETF_FLOW.{asset}.{ticker}", event_date=event_date, unit="usd", obs_status=status,
            value=number(value.scaleb(6, CONTEXT)) if funds else None, value_raw=cells[ticker],
            locator=f"row={event_date} col={ticker}", measurement_root="issuers",
        )  # fmt: skip


def _feed(name: str, tickers: str, release: Release) -> Feed:
    asset = name.upper()
    return Feed(
        name=name, kind="INBOX", clock="etf_flows", shape="observation", media="html",
        parse=partial(parse, asset, frozenset(tickers.split())), restates="window", release=release, revises=True,
        parser_version="2", expects=(f"ETF_FLOW.{asset}.TOTAL",), calendar="NYSE",
        requires=f"save the {asset} ETF flow page of farside.co.uk from a browser into the inbox; it is never fetched",
    )  # fmt: skip


UNDATED = Release("UTC247", 1, "18:00")  # a copy of unknown age is taken to be public by then
SOURCE = Source(
    source_id="farside", title="Farside Investors: ETF flow tables", base_url="https://farside.co.uk",
    lineage_root="farside", evidence_kind="compilation", rank=1, verified="recorded", credit="Farside Investors",
    licence="terms not found: pages are saved by a person for their own use",
    feeds=(
        _feed("btc", "IBIT FBTC BITB ARKB BTCO EZBC BRRR HODL BTCW GBTC BTC", Release("UTC247", 1, "12:00")),
        _feed("eth", "ETHA FETH ETHW TETH ETHV QETH EZET ETHE ETH", UNDATED),
        _feed("sol", "BSOL VSOL FSOL TSOL SOEZ GSOL", UNDATED),
    ),
)  # fmt: skip
