"""Federal Register: what the SEC publishes on filings of exchanges about options on crypto funds.

A document is one state of one filing (File No. SR-<EXCHANGE>-<YEAR>-<N>), told by its title. The day of publication is
neither the day of filing nor the day of effect: those stand in the text, which this interface does not carry.
"""

import re
from collections.abc import Iterator
from datetime import date
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from include.core.errors import ContractError
from include.core.page import page
from include.core.parse import day, member, not_after, read_json, refuse
from include.core.shapes import Event, Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

TERMS = ('"position limits" bitcoin', '"position limits" ether')
FIELDS = ("document_number", "title", "publication_date", "docket_ids", "action", "citation", "html_url")
PER_PAGE = "100"
# The states of a filing by the words of its title; of two that fit, the first one is the later state.
STATES = {
    "withdrawn": r"notice of withdrawal",
    "disapproved": r"order (setting aside .* and )?disapproving",
    "approved": r"order (approving|granting (accelerated )?approval)",
    "instituted": r"instituting proceedings",
    "extended": r"longer period|longer time|extension of (the )?(time|period)",
    "immediately_effective": r"immediate effectiveness",
    "amended": r"notice of (filing of )?(partial )?amendment",
    "noticed": r"notice of (filing|proposed rule change)",
}
_FILE = re.compile(r"\bSR-[A-Za-z0-9]+-\d{4}-\d{1,4}\b", re.ASCII)
_RELEASE = re.compile(r"\b34-\d{5,6}\b", re.ASCII)
_NUMBER = re.compile(r"([A-Z]\d-)?[A-Z]?\d{1,4}-\d{4,6}", re.ASCII)  # C1-2026-16628 corrects the print of 2026-16628


def requests(window: Window) -> Iterator[Request]:
    """One search a term over the window's days of publication; the service's `lte` is inclusive."""
    for term in TERMS:
        yield Request("/api/v1/documents.json", (
            ("conditions[agencies][]", "securities-and-exchange-commission"), ("conditions[type][]", "NOTICE"),
            ("conditions[term]", term), ("conditions[publication_date][gte]", window.start.isoformat()),
            ("conditions[publication_date][lte]", window.end.isoformat()), ("order", "newest"),
            ("per_page", PER_PAGE), ("page", "1"), *(("fields[]", name) for name in FIELDS),
        ))  # fmt: skip


def next_page(request: Request, body: bytes) -> Request | None:
    """The same search with the page number that `next_page_url` names."""
    try:
        url = member(read_json(body), "next_page_url", str)
        (number,) = parse_qs(urlsplit(url).query)["page"]
    except (ContractError, KeyError, ValueError):
        return None  # no further page, or a page that was refused when it was parsed
    params = tuple((name, number if name == "page" else value) for name, value in request.params)
    return None if params == request.params else Request(request.path, params)


def parse(payload: Payload) -> Parsed:
    """A state per filing that a document names; a document that names none is no filing. Raises `ContractError`."""
    answer = read_json(payload.body)
    count = member(answer, "count", int)
    # With a count of 0 the list may be missing; with any other count it is due.
    items = member(answer, "results", list) if count or "results" in answer else []
    if bool(count) != bool(items):
        raise refuse(f"{len(items)} documents where {count} are counted", "G1.empty")
    limit = payload.seen_at.astimezone(ZoneInfo("America/New_York")).date()
    rows, days = [], []
    for item in items:
        published = not_after(day(member(item, "publication_date", str), "%Y-%m-%d"), limit, "a document of")
        days.append(published)
        rows += _states(item, published)
    return page("event", rows, days)


def _states(item: dict, published: date) -> Iterator[Event]:
    title, number = member(item, "title", str), member(item, "document_number", str)
    if not (found := _NUMBER.fullmatch(number)):
        raise refuse(f"not a document number: {number[:40]!r}", "G1.token")
    if found[1]:
        return  # what was printed is put right or printed again: no state of the filing
    dockets = " ".join(member(docket, None, str) for docket in member(item, "docket_ids", list))
    release = next(iter(_RELEASE.findall(dockets)), "")
    said = {
        "title": title, "rule_status": _status(title), "document_number": number, "release_no": release,
        "published_on": published.isoformat(), "url": _text(item, "html_url"), "action": _text(item, "action"),
        "citation": _text(item, "citation"),
    }  # fmt: skip
    for rule_id in sorted(set(_FILE.findall(dockets))):
        for attribute, text in ({"rule_id": rule_id} | said).items():
            if text.strip():
                yield Event(event_id=f"{rule_id}#{release or number}", kind="RULE_STATUS", attribute=attribute,
                            event_date=published, value_text=text.strip(), value_raw=text,
                            locator=f"document={number} key={attribute}")  # fmt: skip


def _text(item: dict, key: str) -> str:
    value = item.get(key)
    return "" if value is None else member(item, key, str)


def _status(title: str) -> str:
    """The state that a title names; `unclassified` where it names none that is known."""
    found = (state for state, words in STATES.items() if re.search(words, title, re.IGNORECASE))
    return next(found, "unclassified")


SOURCE = Source(
    source_id="federalregister",
    title="Federal Register: filings of exchanges on position limits of crypto fund options",
    base_url="https://www.federalregister.gov",
    lineage_root="federalregister",
    evidence_kind="origin",
    rank=1,
    licence="public domain (US government)",
    credit="Office of the Federal Register, federalregister.gov",
    verified="documented",
    feeds=(
        Feed(
            name="position_limits", kind="WINDOW", clock="regulation", shape="event", media="json", parse=parse,
            restates="none", release=Release("FEDWIRE", 0, "08:45", "America/New_York"), requests=requests,
            follow=next_page, first_history_days=900, empty_ok="no such filing was published in the window",
        ),
    ),
)  # fmt: skip
