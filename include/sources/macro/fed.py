"""Federal Open Market Committee: target range and votes from the statement's page, effective day from its note.

A statement either names everyone who voted for the action, or (from 2026 on) gives the split and names the dissenters
only: then nobody is said to have voted for it. Written in the Eastern time of the release.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from include.core.page import page
from include.core.parse import refuse
from include.core.press import article
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source
from include.core.statement import DATE, DisagreementError, Meetings, Statement, Vote, dated, heading, only, plain

BANK = Meetings(
    bank="FOMC", host="https://www.federalreserve.gov", news="/feeds/press_monetary.xml",
    title=re.compile("Federal Reserve issues FOMC statement"), due="14:30", zone="America/New_York",
    path="/newsevents/pressreleases/monetary{d:%Y%m%d}a.htm",
    days="2024-01-31 2024-03-20 2024-05-01 2024-06-12 2024-07-31 2024-09-18 2024-11-07 2024-12-18 "
         "2025-01-29 2025-03-19 2025-05-07 2025-06-18 2025-07-30 2025-09-17 2025-10-29 2025-12-10 "
         "2026-01-28 2026-03-18 2026-04-29 2026-06-17 2026-07-29 2026-09-16 2026-10-28 2026-12-09",
)  # fmt: skip
ZONE = ZoneInfo(BANK.zone)
_NUM = r"\d{1,2}(?:-[1-7]/[248])?|[1-7]/[248]"
_CLOCK = r"((?:1[0-2]|[1-9]):[0-5]\d) ([ap])\.m\. (E[SD]T)"
_HEAD = re.compile(rf"({DATE}) Federal Reserve issues FOMC statement .{{0,40}}?For release at {_CLOCK}")
_NOTE = re.compile(rf"({DATE}) .{{0,200}}?Decisions Regarding Monetary Policy Implementation")
_ACTION = re.compile(
    r"decided to (maintain|raise|lower) the target range for the federal funds rate"
    rf"(?: by ({_NUM}) percentage points?)?,? (?:at|to) ({_NUM}) to ({_NUM}) percent"
)
_END = r"(?<!\b[A-Z])\.(?= |$)"  # of a sentence: the full stop after an initial ends none
_TALLY = re.compile(r"approved the following statement for release by an? (\d{1,2}) ?- ?(\d{1,2}) vote")
_FOR = re.compile(rf"Voting for the monetary policy action were (.+?){_END}")
_AGAINST = re.compile(rf"Voting against (?:this|the|the monetary policy) action (?:was|were) (.+?){_END}")
_NAME = re.compile(r"[A-Z][A-Za-z'-]+(?: [A-Z]\.)?(?: [A-Z][A-Za-z'-]+)+")
_STEP = re.compile(rf"to (raise|lower) the target range(?: for the federal funds rate)? by ({_NUM}) percentage point")
_LEVEL = re.compile(rf"target range .*({_NUM}) to ({_NUM}) percent")
_EFFECTIVE = re.compile(rf"effective ({DATE})", re.IGNORECASE)


def follow(request: Request, body: bytes) -> Request | None:
    """From the list of news to the newest statement, from a statement to its implementation note."""
    if request.path.endswith("a.htm"):
        return Request(request.path.removesuffix(".htm") + "1.htm")
    return BANK.newest(request, body)


def parse(payload: Payload) -> Parsed:
    """Of the list of news, the statements' stamps; of a statement or a note, what it says. Raises `ContractError`."""
    if payload.body.lstrip(b"\xef\xbb\xbf").startswith(b"<?xml"):
        return BANK.released(payload)
    text = plain(article(payload.body))
    limit = payload.seen_at.astimezone(ZONE).date()
    if "Decisions Regarding Monetary Policy Implementation" in text:
        return _note(text, Statement(bank="FOMC", on=dated(heading(_NOTE, text, limit)[1]), url=""))
    on = dated(heading(_HEAD, text, limit)[1])
    statement = Statement(bank="FOMC", on=on, url=BANK.url(on), preferred="preferred_upper_pct")
    return statement.parsed(_read, text)


def _note(text: str, statement: Statement) -> Parsed:
    days = {dated(found) for found in _EFFECTIVE.findall(text)}
    if len(days) != 1 or min(days) < statement.on:
        raise refuse(f"an implementation note with {len(days)} effective days", "G1.identity")
    said = {"effective_date": days.pop().isoformat()}
    return page("event", statement.beside("IMPLEMENTATION", said), [statement.on])


def _read(statement: Statement, text: str) -> None:
    _, clock, half, zone = _HEAD.search(text).groups()
    at = datetime.combine(statement.on, datetime.strptime(f"{clock} {half}m", "%I:%M %p").time(), ZONE)  # noqa: DTZ007
    if at.tzname() != zone:
        raise DisagreementError(f"released in {zone} on a day of {at.tzname()}")
    statement.at = at.astimezone(UTC)
    verb, step, low, high = only(_ACTION, text, "the decision on the target range")
    moved = {"maintain": 0, "raise": 1, "lower": -1}[verb] * _percent(step or "0")
    lower, upper = _percent(low), _percent(high)
    if bool(step) != (verb != "maintain") or upper - lower != Decimal("0.25"):
        raise DisagreementError(f"{verb} by {step or 'nothing'} to {low} to {high}")
    statement.rates = {"rate_before_lower_pct": lower - moved, "rate_before_upper_pct": upper - moved,
                       "rate_after_lower_pct": lower, "rate_after_upper_pct": upper}  # fmt: skip
    named = _FOR.search(text)
    for_it = [_vote(part.split(",")[0], "for") for part in re.split(r"; ?(?:and )?", named[1])] if named else []
    against = _dissent(_AGAINST.search(text), upper - moved)
    tally = _TALLY.search(text)
    statement.votes = for_it + against
    statement.votes_for = len(for_it) if named else int(tally[1]) if tally else None
    statement.votes_against = len(against)
    if statement.votes_for is None or not 7 <= statement.votes_for + len(against) <= 12:
        raise DisagreementError(f"{len(for_it)} votes for and {len(against)} against")
    if tally and (int(tally[1]), int(tally[2])) != (statement.votes_for, len(against)):
        raise DisagreementError("the split and the names do not agree")


def _dissent(said: re.Match | None, before: Decimal) -> list[Vote]:
    """Who voted against, with the upper end of the range that each preferred, where that is said."""
    out = []
    for group in re.split(r"; ?(?:and )?", said[1]) if said else []:
        names, _, why = group.partition(", who ")
        level, step = _LEVEL.search(why), _STEP.search(why)
        wanted = before if "no change" in why else None
        if level:
            wanted = _percent(level[2])
        elif step:
            wanted = before + {"raise": 1, "lower": -1}[step[1]] * _percent(step[2])
        out += [_vote(name, "against", wanted) for name in re.split(r",? and |, ", names)]
    return out


def _vote(name: str, side: str, wanted: Decimal | None = None) -> Vote:
    if not _NAME.fullmatch(name):
        raise DisagreementError(f"a name that cannot be read: {name[:40]!r}")
    first, *_, last = name.split()
    return Vote(name, f"{last}_{first}".lower().replace("'", ""), side, wanted)


def _percent(text: str) -> Decimal:
    """`3-1/2`, `3/4` or `5` exactly."""
    whole, _, fraction = text.partition("-") if "/" not in text or "-" in text else ("0", "", text)
    over, _, under = fraction.partition("/")
    return Decimal(whole) + (Decimal(over) / Decimal(under) if over else 0)


SOURCE = Source(
    source_id="fed",
    title="Federal Open Market Committee: statements and implementation notes",
    base_url=BANK.host,
    lineage_root="frb",
    evidence_kind="origin",
    rank=1,
    licence="public domain (US government)",
    credit="Board of Governors of the Federal Reserve System",
    verified="documented",
    feeds=(
        Feed(
            name="statement", kind="WINDOW", clock="policy", shape="event", media="html", parse=parse, restates="none",
            release=Release("FEDWIRE", 0, "14:30", "America/New_York"), requests=BANK.requests, follow=follow,
            empty_ok="no statement among the news", every_s=55 * 60,
        ),
    ),
)  # fmt: skip
