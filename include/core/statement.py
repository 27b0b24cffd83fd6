"""A central bank's statement as events: one DECISION and a VOTE for each member, or one REVIEW and no figure.

`REVIEW` is the answer where sentences of a statement do not agree with each other: the reason, beside the hash of the
bytes that every row carries. A person reads it; until then nothing of the statement is a figure.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from include.core.errors import ContractError
from include.core.page import page
from include.core.parse import day, refuse
from include.core.press import Item, read_feed
from include.core.shapes import Event, Parsed
from include.core.source import Payload, Request, Window

MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
DATE = rf"{MONTH} \d{{1,2}}, \d{{4}}"
SLACK_S = 60  # instants are told to the minute
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-") | {"\u00a0": " "})


class DisagreementError(Exception):
    """Two sentences of a statement that say different things, in words."""


@dataclass(frozen=True, slots=True)
class Vote:
    """A member's vote: name as printed, `for` or `against`, and the rate a dissenter preferred (percent)."""

    name: str
    member_id: str
    vote: str
    preferred: Decimal | None = None


@dataclass(slots=True, kw_only=True)
class Statement:
    """What every row of one statement shares. `rates` are attributes in percent; `preferred` names the votes' one."""

    bank: str
    on: date
    url: str
    at: datetime | None = None
    effective: date | None = None
    rates: dict[str, Decimal] = field(default_factory=dict)
    votes_for: int | None = None
    votes_against: int | None = None
    votes: list[Vote] = field(default_factory=list)
    preferred: str = "preferred_rate_pct"

    @property
    def event_id(self) -> str:
        """The meeting's id: its bank and the day of the decision."""
        return f"{self.bank}.{self.on}"

    def parsed(self, read: Callable[["Statement", str], None], text: str) -> Parsed:
        """What `read` makes of the text: the events, or the review where sentences disagree."""
        try:
            read(self, text)
        except DisagreementError as why:
            return page("event", self.review(str(why)), [self.on])
        if len({vote.member_id for vote in self.votes}) != len(self.votes):
            return page("event", self.review("a member is named twice"), [self.on])
        return page("event", self.events(), [self.on])

    def events(self) -> Iterator[Event]:
        """The decision's attributes, then each vote's."""
        told = {"bank": self.bank, "decided_at": self.at and f"{self.at:%Y-%m-%dT%H:%M:%SZ}", "url": self.url,
                "effective_date": self.effective and self.effective.isoformat()}  # fmt: skip
        told |= self.rates | {"votes_for": self.votes_for, "votes_against": self.votes_against}
        instant = {"event_at": self.at, "slack_s": SLACK_S if self.at else None}
        yield from self._rows(self.event_id, "DECISION", told, **instant)
        for vote in self.votes:
            told = {"meeting_id": self.event_id, "member_id": vote.member_id, "member_name": vote.name,
                    "vote": vote.vote, self.preferred: vote.preferred, "url": self.url}  # fmt: skip
            yield from self._rows(f"{self.event_id}#{vote.member_id}", "VOTE", told)

    def review(self, why: str) -> Iterator[Event]:
        """The statement was seen and is not believed: why."""
        told = {"meeting_id": self.event_id, "bank": self.bank, "needs_review": why, "url": self.url}
        yield from self._rows(f"{self.event_id}.REVIEW", "REVIEW", told)

    def beside(self, kind: str, told: dict, **instant: object) -> Iterator[Event]:
        """Attributes that another page says of the same meeting."""
        yield from self._rows(self.event_id, kind, told, **instant)

    def _rows(self, event_id: str, kind: str, told: dict, **instant: object) -> Iterator[Event]:
        for name, said in told.items():
            if said is None:
                continue
            unit = "vote" if name.startswith("votes_") else "percent" if name.endswith("_pct") else None
            content = {"value": Decimal(said), "unit": unit} if unit else {"value_text": said}
            yield Event(event_id=event_id, kind=kind, attribute=name, event_date=self.on, value_raw=str(said),
                        locator=f"statement={self.event_id} said={name}",
                        **{"published_at": self.at} | content | instant)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Meetings:
    """Where a bank's statements are: by the days of its meetings, and by its list of news for those that come after.

    `path` is a format of the day `d`; `title` is what an item of the news is called at least; `due` is the hour at
    which a statement is out at the latest.
    """

    bank: str
    host: str
    news: str
    title: re.Pattern
    path: str
    days: str  # the last days of the meetings, yyyy-mm-dd
    due: str
    zone: str

    def url(self, on: date) -> str:
        """The address of a meeting's statement."""
        return self.host + self.path.format(d=on)

    def requests(self, window: Window) -> Iterator[Request]:
        """The list of news, then the statements of the meetings in the window that are due by now."""
        yield Request(self.news)
        for text in self.days.split():
            due = datetime.fromisoformat(f"{text}T{self.due}").replace(tzinfo=ZoneInfo(self.zone))
            if window.start <= due.date() < window.end and due <= window.at:
                yield Request(self.path.format(d=due))

    def newest(self, request: Request, body: bytes) -> Request | None:
        """From the list of news to the newest statement in it, unless its meeting is asked for by its day."""
        if request.path != self.news:
            return None
        try:
            on = max((on for on, _ in self._statements(read_feed(body))), default=None)
        except ContractError:
            return None  # the list itself was refused when it was parsed
        return None if on is None or on.isoformat() in self.days else Request(self.path.format(d=on))

    def released(self, payload: Payload) -> Parsed:
        """When the statements in a list of news came out. Such a line decides nothing by itself."""
        rows = list(self._released(payload))
        return page("event", rows, [row.event_date for row in rows])

    def _released(self, payload: Payload) -> Iterator[Event]:
        for on, item in self._statements(read_feed(payload.body, payload.seen_at)):
            stamps = {"event_at": item.published_at, "slack_s": 5 * SLACK_S, "published_at": item.published_at}
            statement = Statement(bank=self.bank, on=on, url=self.url(on))
            yield from statement.beside("RELEASE", {"released": item.stamp, "title": item.title}, **stamps)

    def _statements(self, items: list[Item]) -> Iterator[tuple[date, Item]]:
        for item in items:
            on = item.published_at.astimezone(ZoneInfo(self.zone)).date()
            if self.title.match(item.title) and item.link.replace("http://", "https://") == self.url(on):
                yield on, item


def plain(text: str) -> str:
    """One line, every dash a hyphen, every blank a space: what the sentences are looked for in."""
    return " ".join(text.translate(_DASHES).split())


def dated(text: str) -> date:
    """`January 23, 2026` as a day."""
    return day(text, "%B %d, %Y")


def only(pattern: re.Pattern, text: str, what: str) -> tuple[str, ...]:
    """The groups of the one thing that `pattern` finds, however often it is said. Raises `DisagreementError`."""
    found = {match.groups(default="") for match in pattern.finditer(text)}
    if len(found) != 1:
        raise DisagreementError(f"{what} is said in {len(found)} ways" if found else f"{what} is not said")
    return found.pop()


def heading(pattern: re.Pattern, text: str, limit: date) -> re.Match:
    """The statement's head, whose first group is its day. Refused if it is no such statement, or not of the past."""
    if not (match := pattern.search(text)):
        raise refuse("not a statement of a decision", "G1.columns")
    if dated(match[1]) > limit:
        raise refuse(f"a statement of {match[1]} lies in the future", "G1.future")
    return match
