"""Bank of Japan, Monetary Policy Meetings: the rate, when it takes effect, who voted how, from the statement's text.

The list of news names new statements; those of past meetings are asked by their days. A statement is a PDF whose
text PDFium gives with blanks inside words that are kerned ("V oting", "TAKA TA"). Where the vote on the guideline is
unanimous, a note with names belongs to another decision of the day.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from include.core.calendars import BOJ_MEETINGS
from include.core.pdf import pdf_text
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Source
from include.core.statement import (
    DATE,
    MONTH,
    DisagreementError,
    Meetings,
    Statement,
    Vote,
    dated,
    heading,
    only,
    plain,
)

BANK = Meetings(
    bank="BOJ", host="https://www.boj.or.jp", news="/en/rss/whatsnew.xml", title=re.compile("."),
    path="/en/mopo/mpmdeci/mpr_{d:%Y}/k{d:%y%m%d}a.pdf", due="13:30", zone="Asia/Tokyo",
    days="2024-01-23 2024-03-19 2024-04-26 2024-06-14 2024-07-31 2024-09-20 2024-10-31 2024-12-19 "
         "2025-01-24 2025-03-19 2025-05-01 2025-06-17 2025-07-31 2025-09-19 2025-10-30 2025-12-19 "
         "2026-01-23 2026-03-19 2026-04-28 2026-06-16 2026-07-31 2026-09-18 2026-10-30 2026-12-18",
)  # fmt: skip
TOKYO = ZoneInfo(BANK.zone)
_HEAD = re.compile(rf"^\W*({DATE}) Bank of Japan (.{{1,200}}?) 1\. At the Monetary Policy Meeting")
_RATE = re.compile(
    r"The Bank will encourage the uncollateralized overnight call rate to remain at around "
    r"(\d{1,2}(?:\.\d{1,3})?)(?: to (\d{1,2}(?:\.\d{1,3})?))? percent"
)
_VOTE = re.compile(
    r"decided, by (?:a (unanimous) vote|an? (\d{1,2})-(\d{1,2}) majority vote),?(?: ?\[Note(?: ?\d)?\])?,? "
    r"to set the following guideline for money market operations"
)
_NOTE = re.compile(r"V ?oting for the action: (.+?)\. V ?oting against the action: (.+?)\. ?(.{0,2500})")
_PRESENT = re.compile(r"Policy Board members present: (.+?) \[Others present\]")
_EFFECTIVE = re.compile(rf"will be effective from ({DATE})")
_RELEASED = re.compile(
    rf"Release dates and times: .{{1,200}}? --? \w+, ({MONTH} \d{{1,2}}) at ([01]?\d|2[0-3]):([0-5]\d)"
)
_NAME = re.compile(r"([A-Z][A-Z' ]*[A-Z]) ([A-Z][a-z]+)")
_PROPOSED = re.compile(r"propos.* around (\d{1,2}(?:\.\d{1,3})?) percent")


def parse(payload: Payload) -> Parsed:
    """Of the list of news, the statements' stamps; of a statement, decision and votes, or why not. `ContractError`."""
    if not payload.body.startswith(b"%PDF-"):
        return BANK.released(payload)
    text = plain(pdf_text(payload.body))
    on = dated(heading(_HEAD, text, payload.seen_at.astimezone(TOKYO).date())[1])
    return Statement(bank="BOJ", on=on, url=BANK.url(on)).parsed(_read, text)


def _read(statement: Statement, text: str) -> None:
    title = _HEAD.search(text)[2]
    low, high = only(_RATE, text, "the rate of the guideline")
    unanimous, n_for, n_against = only(_VOTE, text, "the vote on the guideline")
    told = [dated(found) for found in set(_EFFECTIVE.findall(text))]
    is_held = title == "Statement on Monetary Policy"
    if len(told) != (not is_held) or not all(timedelta(0) <= day - statement.on <= timedelta(days=30) for day in told):
        raise DisagreementError(f"{title!r}, in effect from {', '.join(map(str, told)) or 'no day'}")
    statement.effective = told[0] if told else None
    for when in ("after", "before") if is_held else ("after",):
        ends = {f"rate_{when}_lower_pct": low, f"rate_{when}_upper_pct": high} if high else {f"rate_{when}_pct": low}
        statement.rates |= {name: Decimal(rate) for name, rate in ends.items()}
    statement.at = _released(statement, text)
    present = _PRESENT.search(text)
    if unanimous:
        statement.votes = [_vote(*name, "for") for name in _NAME.findall(present[1])] if present else []
        statement.votes_for, statement.votes_against = len(statement.votes) or None, 0
    else:
        statement.votes = _named(text)
        counted = [sum(vote.vote == side for vote in statement.votes) for side in ("for", "against")]
        if counted != [int(n_for), int(n_against)]:
            raise DisagreementError(f"a vote of {n_for}-{n_against} with {counted[0]} and {counted[1]} names")
        statement.votes_for, statement.votes_against = counted


def _released(statement: Statement, text: str) -> datetime | None:
    """The instant that the statement's own last lines give, if they do."""
    if not (match := _RELEASED.search(text)):
        return None
    if match[1] != f"{statement.on:%B} {statement.on.day}":
        raise DisagreementError(f"decided on {statement.on}, released on {match[1]}")
    return datetime.combine(statement.on, time(int(match[2]), int(match[3])), TOKYO).astimezone(UTC)


def _named(text: str) -> list[Vote]:
    """The first note's names, and the rate that each dissenter proposed, where the prose says one."""
    if not (note := _NOTE.search(text)):
        raise DisagreementError("a majority vote without names")
    sides = []
    for side, names in (("for", note[1]), ("against", note[2])):
        found = [_NAME.fullmatch(part) for part in re.split(r",? and |, ?", names)]
        if not all(found):
            raise DisagreementError(f"a name that cannot be read among {names[:80]!r}")
        sides.append([_vote(*name.groups(), side) for name in found])
    wanted = _proposals(sides[1], note[3])
    return sides[0] + [replace(vote, preferred=wanted.get(vote.member_id)) for vote in sides[1]]


def _vote(surname: str, given: str, side: str) -> Vote:
    surname = surname.replace(" ", "")
    return Vote(f"{surname} {given}", f"{surname}_{given}".lower().replace("'", ""), side)


def _proposals(against: list[Vote], prose: str) -> dict[str, Decimal]:
    """Who of the dissenters wanted which rate: a sentence speaks of whom it names, or of those named last."""
    out: dict[str, Decimal] = {}
    of = against
    for sentence in re.split(r"(?<=[a-z\])])\. ", prose):
        named = [vote for vote in against if vote.name.casefold() in sentence.casefold()]
        of = named or (against if sentence.startswith("They ") else of)
        if rate := _PROPOSED.search(sentence):
            out |= {vote.member_id: Decimal(rate[1]) for vote in of}
    return out


SOURCE = Source(
    source_id="boj_policy",
    title="Bank of Japan: statements of the Monetary Policy Meetings",
    base_url=BANK.host,
    lineage_root="boj",
    evidence_kind="origin",
    rank=1,
    licence="Bank of Japan website: reproduction with the source named",
    credit="Bank of Japan",
    verified="documented",
    min_interval_s=2.0,
    feeds=(
        Feed(
            name="statement", kind="WINDOW", clock="policy", shape="event", media="pdf", parse=parse, restates="none",
            release=Release("JP_BANK", 0, "13:30", "Asia/Tokyo"), requests=BANK.requests, follow=BANK.newest,
            empty_ok="no statement among the news", every_s=55 * 60, eager_days=BOJ_MEETINGS,
        ),
    ),
)  # fmt: skip
