"""iShares: shares outstanding, net asset value and coins of IBIT and ETHA, from the issuer's own files.

Three feeds a fund say the same: the workbook (all sessions), the holdings file (the newest one, with the coins) and the
product page (the newest one), believed in that order. The files left their `….ajax` addresses in 2026: a page is served
there in their place, and refused. Shares come in baskets of 40,000: another change is labelled (`G5.basket`).
"""

import re
from collections.abc import Callable
from datetime import date
from functools import partial
from html import unescape
from itertools import takewhile
from zoneinfo import ZoneInfo

from lxml import etree

from include.core.page import page
from include.core.parse import above_zero, columns, day, decode, member, not_after, number, read_csv, read_json, refuse
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source

FUNDS = {"IBIT": ("BTC", 333011, "ishares-bitcoin-trust-etf"), "ETHA": ("ETH", 337614, "ishares-ethereum-trust-etf")}
DOCUMENT = "/varnish-api/blk-one01-product-data/product-data/api/v1/get-fund-document"
ABSENT = frozenset({"", "-", "--"})
POINTS = {"sharesOutstanding": "SHARES", "navAmount": "NAV"}
UNITS = {"SHARES": "share", "NAV": "usd", "HOLDING": "coin"}
_SS = "{urn:schemas-microsoft-com:office:spreadsheet}"
_BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9A-Fa-f]+);)")
_POINT = re.compile(r'"(sharesOutstanding|navAmount)":\s*(?=\{)')


def parse_workbook(ticker: str, payload: Payload) -> Parsed:
    """The sheet `Historical`: a session a row. Raises `ContractError`."""
    text = _BARE_AMPERSAND.sub("&amp;", decode(payload.body, "utf-8")).lstrip()
    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
        sheets = list(etree.fromstring(text.encode(), parser=parser).iter(f"{_SS}Worksheet"))
    except (etree.LxmlError, ValueError):
        raise refuse("not a spreadsheet in XML", "G1.syntax") from None
    found = [row for sheet in sheets if sheet.get(f"{_SS}Name") == "Historical" for row in sheet.iter(f"{_SS}Row")]
    header, *body = [["".join(cell.itertext()).strip() for cell in row] for row in found] or [[]]
    at = columns(header, {"day": "As Of", "nav": "NAV per Share", "shares": "Shares Outstanding"})
    rows, days = [], []
    for line in body:
        if len(line) != len(header):
            raise refuse(f"a row of {len(line)} cells under a header of {len(header)}", "G1.columns")
        days.append(_session(line[at["day"]], payload))
        rows += _cells(ticker, days[-1], {"SHARES": line[at["shares"]], "NAV": line[at["nav"]]})
    if not rows:
        raise refuse("a header and no figures", "G1.empty")
    return page("observation", rows, days)


def parse_holdings(ticker: str, payload: Payload) -> Parsed:
    """The newest session: shares from the lines above the table, coins from the asset's own row of it."""
    text = decode(payload.body, "utf-8")
    lines = read_csv(text, closed=not text.endswith('"'))  # the note below the table ends with its quote
    start = next((n for n, line in enumerate(lines) if line[:1] == ["Ticker"]), None)
    if start is None:
        raise refuse("no table of holdings", "G1.columns")
    head = {line[0].strip(): line[1].strip() for line in lines[:start] if len(line) == 2}
    at = columns(lines[start], {"ticker": "Ticker", "coins": "Quantity"})
    table = list(takewhile(lambda line: any(map(str.strip, line)), lines[start + 1 :]))
    if any(len(line) != len(lines[start]) for line in table):
        raise refuse(f"a line of another width than its header of {len(lines[start])}", "G1.columns")
    held = {line[at["coins"]].strip() for line in table if line[at["ticker"]].strip() == FUNDS[ticker][0]}
    if len(held) != 1:
        raise refuse(f"{len(held)} quantities of the fund's coin", "G1.conflict" if held else "G1.empty")
    event_date = _session(member(head, "Fund Holdings as of", str), payload)
    return _one_day(ticker, event_date, {"SHARES": member(head, "Shares Outstanding", str), "HOLDING": held.pop()})


def parse_page(ticker: str, payload: Payload) -> Parsed:
    """The two data points that the product page embeds, entity-encoded or not, some of their places without a figure.
    Each has its own day: the net asset value may be a session ahead of the shares, or behind them."""
    text = unescape(decode(payload.body, "utf-8"))
    points = [(POINTS[found[1]], _object_at(text, found.end())) for found in _POINT.finditer(text)]
    said = [(family, point.get("formattedAsOfDate"), point.get("formattedValue")) for family, point in points]
    told = [(family, at, raw) for family, at, raw in said if isinstance(at, str) and isinstance(raw, str)]
    if {family for family, *_ in told} != set(POINTS.values()):
        raise refuse(f"{len(told)} places hold the fund's data", "G1.layout")
    cells = [(_session(at, payload), {family: raw.strip().removeprefix("$")}) for family, at, raw in told]
    rows = [row for session, cell in cells for row in _one_day(ticker, session, cell).rows]
    return page("observation", rows, [session for session, _ in cells])


def _object_at(text: str, start: int) -> dict:
    """The JSON object that begins at `start`; its end is where the braces outside of texts close."""
    depth, quoted, escaped = 0, False, False
    for at in range(start, len(text)):
        char = text[at]
        if escaped or char == "\\":
            escaped = not escaped
        elif char == '"':
            quoted = not quoted
        elif not quoted and char in "{}":
            depth += 1 if char == "{" else -1
            if depth == 0:
                return read_json(text[start : at + 1].encode())
    raise refuse("the fund's data are cut off", "G1.truncated")


def _session(text: str, payload: Payload) -> date:
    return not_after(
        day(text, "%b %d, %Y"), payload.seen_at.astimezone(ZoneInfo("America/New_York")).date(), "a session of"
    )


def _cells(ticker: str, event_date: date, cells: dict[str, str]) -> list[Observation]:
    return [
        Observation(series_id=f"{family}.{FUNDS[ticker][0]}.{ticker}", event_date=event_date, unit=UNITS[family],
                    value=above_zero(str(number(raw, grouped=True)), family), value_raw=raw,
                    lineage_root=f"issuer:{ticker}", locator=f"row={event_date} col={family}")
        for family, raw in cells.items() if raw not in ABSENT
    ]  # fmt: skip


def _one_day(ticker: str, event_date: date, cells: dict[str, str]) -> Parsed:
    if ABSENT & set(cells.values()):
        raise refuse(f"no {' or '.join(cells)} on {event_date}", "G1.empty")
    return page("observation", _cells(ticker, event_date, cells), [event_date])


def _feed(kind: str, ticker: str, media: str, parse: Callable, rank: int, request: Request) -> Feed:
    return Feed(
        name=f"{kind}_{ticker.lower()}", kind="WINDOW", clock="etf_flows", shape="observation", media=media,
        parse=partial(parse, ticker), restates="none" if kind == "page" else "window", calendar="NYSE", revises=True,
        release=Release("NYSE", 1, "12:00", "America/New_York"), rank=rank, every_s=50 * 60,
        requests=lambda window: [request], expects=(f"SHARES.{FUNDS[ticker][0]}.{ticker}",) if kind == "fund" else (),
    )  # fmt: skip


def _feeds(ticker: str) -> list[Feed]:
    _, product, name = FUNDS[ticker]
    site = (("appType", "PRODUCT_PAGE"), ("appSubType", "ISHARES"), ("targetSite", "us-ishares"), ("locale", "en_US"),
            ("portfolioId", str(product)), ("userType", "individual"))  # fmt: skip
    book, held = (Request(DOCUMENT, (*site, ("component", part))) for part in ("fundDownload", "holdings"))
    return [_feed("fund", ticker, "xml", parse_workbook, 3, book),
            _feed("page", ticker, "html", parse_page, 1, Request(f"/us/individual/products/{product}/{name}")),
            _feed("holdings", ticker, "csv", parse_holdings, 2, held)]  # fmt: skip


SOURCE = Source(
    source_id="ishares", title="iShares: shares, net asset value and coins of IBIT and ETHA", verified="documented",
    base_url="https://www.blackrock.com", lineage_root="issuer", evidence_kind="origin", rank=0,
    licence="issuer's terms: files are for own use; derived figures are stored", credit="BlackRock iShares",
    feeds=tuple(feed for ticker in FUNDS for feed in _feeds(ticker)),
)  # fmt: skip
