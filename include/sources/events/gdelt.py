"""GDELT DOC 2.0: what the press wrote of the warehouse's subjects. For discovery: a report, never a figure.

Title, address and the instant at which GDELT saw the article; the articles belong to their publishers, and when they
came out is not told. Whoever asks more than once in five seconds is told so in a sentence, with HTTP 200 or 429.
"""

import re
from datetime import UTC, datetime, timedelta

from include.core.page import page
from include.core.parse import member, read_json, refuse, sniff
from include.core.press import listed
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

QUERY = (
    '("bitcoin etf" OR "ether etf" OR "ethereum etf" OR "crypto etf" OR "bank of japan" OR "yen carry trade" OR '
    '"stablecoin issuer" OR "crypto hack") sourcelang:english'
)
MOST = 250  # articles of an answer, the newest ones of the window
_ESCAPE = re.compile(rb'\\(["\\/bfnrt]|u[0-9A-Fa-f]{4})?')
_SEEN = re.compile(r"\d{8}T\d{6}Z", re.ASCII)


def parse(payload: Payload) -> Parsed:
    """A document an article; one without a title is left out. Titles are printed as they were found: a backslash that
    escapes nothing is one of their characters. Raises `ContractError`."""
    sniff(payload.body, "json")
    body = _ESCAPE.sub(lambda found: found[0] if found[1] else rb"\\", payload.body)
    rows, days = [], []
    for item in member(read_json(body), "articles", list):
        seen_at = _instant(member(item, "seendate", str))
        if seen_at > payload.seen_at + timedelta(minutes=15):
            raise refuse(f"an article of {item['seendate']} lies in the future", "G1.future")
        days.append(seen_at.date())
        if title := " ".join(member(item, "title", str).split()):
            rows.append(
                listed(member(item, "url", str), title=title, lang=member(item, "language", str),
                       media_type="application/json", event_date=seen_at.date(), event_at=seen_at,
                       claimed_known_at=seen_at, value_raw=item["seendate"])
            )  # fmt: skip
    if not rows:
        raise refuse("no articles", "G1.empty")
    return page("document", rows, days)


def _instant(text: str) -> datetime:
    try:
        if _SEEN.fullmatch(text):
            return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        pass
    raise refuse(f"not a stamp: {text[:40]!r}", "G1.date")


def requests(window: Window) -> list[Request]:
    """The newest articles that were seen from the first day of the window to now."""
    return [Request("/api/v2/doc/doc", (
        ("query", QUERY), ("mode", "ArtList"), ("format", "json"), ("maxrecords", str(MOST)), ("sort", "DateDesc"),
        ("startdatetime", f"{window.start:%Y%m%d}000000"), ("enddatetime", f"{window.at:%Y%m%d%H%M%S}"),
    ))]  # fmt: skip


SOURCE = Source(
    source_id="gdelt",
    title="GDELT DOC 2.0: press articles on the warehouse's subjects, for discovery",
    base_url="https://api.gdeltproject.org",
    lineage_root="gdelt",
    evidence_kind="report",
    rank=9,
    licence="GDELT terms of use: free with citation; titles, addresses and times only: articles are their publishers'",
    credit="The GDELT Project",
    verified="documented",
    min_interval_s=6.0,
    feeds=(
        Feed(
            name="articles", kind="WINDOW", clock="regulation", shape="document", media="json", parse=parse,
            restates="none", release=Release("UTC247", 0, "23:59"), requests=requests, history_days=2,
            first_history_days=7,
        ),
    ),
)  # fmt: skip
