"""What a source declares: one file, one provider, a `SOURCE` and its pure parse functions."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal

from include.core.errors import ContractError

if TYPE_CHECKING:  # the shapes bring Arrow in, which a question to the warehouse does not need
    from include.core.shapes import Parsed

ORDINARY_BYTES = 16 * 2**20
Kind = Literal["WINDOW", "SNAPSHOT", "INBOX"]
Restates = Literal["all", "window", "none"]
Clock = Literal["policy", "rates", "etf_flows", "derivatives", "onchain", "regulation", "positioning", "curated"]


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open span of event dates `[start, end)`, and the run's instant."""

    start: date
    end: date
    at: datetime

    @classmethod
    def back(cls, days: int, at: datetime) -> "Window":
        """So many days before an instant's day, and that day."""
        return cls(start=at.date() - timedelta(days=days), end=at.date() + timedelta(days=1), at=at)

    def slices(self, days: int) -> Iterator[tuple[int, int]]:
        """The window in pieces of at most `days` days, as epoch milliseconds in UTC, both ends inclusive."""
        start = self.start
        while start < self.end:
            end = min(start + timedelta(days=days), self.end)
            first, beyond = (int(datetime.combine(d, time(0), UTC).timestamp()) * 1000 for d in (start, end))
            yield first, beyond - 1
            start = end


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request relative to the source's base URL."""

    path: str
    params: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    json: dict | list | None = None  # a list is a batch


@dataclass(frozen=True, slots=True)
class Payload:
    """Bytes as they were landed (inflated), with what a parser may need to know of their arrival."""

    body: bytes
    seen_at: datetime
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """When day D becomes public: `days` business days of `calendar` after D, at `at` in `zone`."""

    calendar: str
    days: int
    at: str  # "HH:MM"
    zone: str = "UTC"
    weekday: int | None = None  # 0 = Monday: the first such weekday on or after D + days


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One endpoint or table of a source.

    `parse` is pure: bytes to rows, `ContractError` for anything it does not know. `requests` names what to ask
    for a window; `follow` gives the next page (None at the end). `restates` says what a page's silence means.
    `release` is the declared release lag; on a feed with `revises=False` it dates first versions that were
    fetched late (`pseudo`). `expects` lists the series that should have a reading on every open day.
    """

    name: str
    kind: Kind
    clock: Clock
    shape: Literal["observation", "event", "position", "document"]
    media: Literal["csv", "json", "html", "xml", "pdf"]
    parse: "Callable[[Payload], Parsed]"
    restates: Restates
    release: Release
    requests: Callable[[Window], Iterable[Request]] | None = None
    follow: Callable[[Request, bytes], Request | None] | None = None
    parser_version: str = "1"
    revises: bool = False
    late_after_days: int = 3  # first seen later than this after release: history, not news
    rank: int = 0  # of two feeds of one source that disagree at one instant, the higher is current
    expects: tuple[str, ...] = ()
    calendar: str = ""  # whose open days `expects` means; "" = the release's
    history_days: int = 45  # how far back an ordinary fetch asks
    first_history_days: int = 210  # how far back the first fetch asks; `backfill` reaches further
    every_s: int = 0  # skipped by its clock until this long after the last accepted attempt
    eager_days: frozenset[date] = frozenset()  # days (UTC) on which `every_s` holds nothing back
    max_bytes: int = ORDINARY_BYTES  # of a body, inflated; a feed that says more reads a part of it, or columns
    min_rows: int = 1  # fewer rows than this is a contract failure (`check_size`)
    empty_ok: str = ""  # a reason why zero rows may be right; "" means never
    shipped: str = ""  # a file of curated rows beside the source file, landed by the `curated` clock
    requires: str = ""  # what a person must do, for INBOX feeds

    def check_size(self, n_rows: int) -> None:
        """`ContractError` (G1.empty) for a payload of too few rows."""
        if n_rows < self.min_rows and not (n_rows == 0 and self.empty_ok):
            raise ContractError(f"{n_rows} rows where at least {self.min_rows} are due", rule="G1.empty", action="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One provider. `rank` orders sources of one series: lower is preferred."""

    source_id: str
    title: str
    base_url: str
    lineage_root: str
    evidence_kind: str
    rank: int
    licence: str
    credit: str
    verified: str  # "live <date>" | "recorded" | "documented" | "guessed" (none is shipped)
    feeds: tuple[Feed, ...]
    min_interval_s: float = 1.0  # per host, across processes
    headers: tuple[tuple[str, str], ...] = field(default=())
    key_env: str = ""  # name of the environment variable that holds a key
    key_header: str = ""
    key_param: str = ""  # where the service takes it in the query alone; it must be one that `redact` knows
    key_required: bool = False  # nothing is asked without the key

    def feed(self, name: str) -> Feed:
        """The feed of that name; KeyError if there is none."""
        return {f.name: f for f in self.feeds}[name]
