"""The steps as plain functions: what an Airflow task calls is what the command line and the tests call.

land    fetch or take in a feed's bytes, durably, then derive its rows
build   dbt over a frozen set of row files, into build/<run_id>/
check   the gate: labels, holds (one rebuild if there are new ones), or a refusal
publish swap the served file and keep the version
"""

import inspect
from collections import deque
from datetime import datetime, timedelta
from pathlib import Path

from include.core.clock import iso, parse_instant
from include.core.errors import CapmigError, ConfigError, ContractError, PermanentError
from include.core.parse import inflate, sniff
from include.core.source import Feed, Source, Window
from include.landing import inbox, runs
from include.landing.http import Client
from include.landing.store import ACCEPTED, Attempt, Store, attempt_of
from include.settings import Settings
from include.sources import registry

MAX_PAGES = 500


def find_feed(source_id: str, feed_name: str) -> tuple[Source, Feed]:
    """A declared source and feed; `ConfigError` names what there is."""
    sources = registry()
    if source_id not in sources:
        raise ConfigError(f"no source {source_id[:40]!r}", rule="config.unknown_source",
                          action=f"use one of {', '.join(sorted(sources))}")  # fmt: skip
    source = sources[source_id]
    if feed_name not in {f.name for f in source.feeds}:
        raise ConfigError(f"{source_id} has no feed {feed_name[:40]!r}", rule="config.unknown_feed",
                          action=f"use one of {', '.join(f.name for f in source.feeds)}")  # fmt: skip
    return source, source.feed(feed_name)


def window_of(feed: Feed, at: datetime, store: Store, source: Source) -> Window:
    """The span to ask for: everything the first time, `history_days` afterwards."""
    days = feed.history_days if store.last_accepted(source.source_id, feed.name) else feed.first_history_days
    return Window(start=at.date() - timedelta(days=days), end=at.date() + timedelta(days=1), at=at)


def land(
    settings: Settings, source_id: str, feed_name: str, *, run_id: str, window: Window | None = None
) -> list[Attempt]:
    """Land one feed: fetch it, or take what waits in its inbox. Returns the attempts, which are durable by then.

    A source's failure is an outcome, not an exception: exceptions are for our own configuration and disk.
    """
    source, feed = find_feed(source_id, feed_name)
    store = Store(settings.home)
    with store.lock(source_id, feed_name):
        if feed.kind == "INBOX":
            attempts = _land_files(settings, store, source, feed, run_id)
        elif window is None and not _due(settings, store, source, feed):
            attempts = []
        else:
            window = window or window_of(feed, settings.clock, store, source)
            attempts = _land_fetched(settings, store, source, feed, run_id, window)
        runs.derive(settings.home, source, feed, settings.clock)
    return attempts


def _due(settings: Settings, store: Store, source: Source, feed: Feed) -> bool:
    """Whether a feed should be asked now: not twice at one instant, and not before `every_s` has passed."""
    here = [a for a in store.attempts(source.source_id, feed.name) if a.seen_at == iso(settings.clock)]
    if here and all(a.outcome in ACCEPTED for a in here):
        return False
    last = store.last_accepted(source.source_id, feed.name)
    return not last or settings.clock - parse_instant(last) >= timedelta(seconds=feed.every_s)


def _land_fetched(
    settings: Settings, store: Store, source: Source, feed: Feed, run_id: str, window: Window
) -> list[Attempt]:
    """Fetch every page of a window. Pages are written as they come; one manifest append acknowledges them all."""
    landing = _Landing(store, source, feed, run_id, settings.clock)
    span = {"window_start": window.start.isoformat(), "window_end": window.end.isoformat()}
    client = Client(
        source=source, base_url=settings.base_url(source), contact=settings.contact, key=settings.key(source),
        state_dir=settings.home / "http", deadline_s=settings.fetch_deadline_s, tries=settings.fetch_tries,
        retry_cap_s=settings.retry_cap_s,
    )  # fmt: skip
    waiting, asked = deque(feed.requests(window)), set()
    while waiting:
        request = waiting.popleft()
        try:
            if repr(request) in asked or len(asked) >= MAX_PAGES:
                raise PermanentError("the source's pages do not end", source=source.source_id, rule="L.cursor_loop",
                                     action="look at the landed pages and at the feed's `follow`")  # fmt: skip
            asked.add(repr(request))
            response = client.fetch(request, max_bytes=feed.max_bytes)
        except CapmigError as error:
            landing.failed(error, origin=f"{request.method} {request.path}", **span)
            break
        encoding = response.headers.get("content-encoding", "")
        outcome = landing.take(
            response.wire, seen_at=settings.clock, vintage_kind="first_seen", origin=response.url, encoding=encoding,
            status=response.status, attempts=response.attempts, seconds=round(response.seconds, 3),
            headers=response.headers, **span,
        )  # fmt: skip
        if outcome == "REJECTED":
            break
        following = feed.follow and feed.follow(request, inflate(response.wire, encoding, feed.max_bytes))
        if following:
            waiting.appendleft(following)
    return landing.acknowledge()


def _land_files(settings: Settings, store: Store, source: Source, feed: Feed, run_id: str) -> list[Attempt]:
    """Take in what waits for a feed: the rows that the product ships, then saved pages, oldest first."""
    landing = _Landing(store, source, feed, run_id, settings.clock)
    if feed.shipped:
        path = Path(inspect.getfile(feed.parse)).parent / feed.shipped
        landing.take(
            path.read_bytes(), seen_at=settings.clock, vintage_kind="first_seen", origin=f"shipped/{path.name}"
        )
    saved, _ = inbox.scan(settings.home, source.source_id, {f.name for f in source.feeds}, settings.clock)
    mine = [s for s in saved if s.feed == feed.name]
    for page in mine:
        landing.take(
            page.path.read_bytes(), seen_at=page.seen_at or settings.clock, origin=f"inbox/{page.path.name}",
            vintage_kind="archive" if page.seen_at else "pseudo",
        )  # fmt: skip
    attempts = landing.acknowledge()
    for page in mine:
        inbox.take(page)
    return attempts


def import_file(
    settings: Settings, source_id: str, feed_name: str, path: Path, *, observed_at: datetime | None, run_id: str
) -> Attempt:
    """Land one saved page as seen at `observed_at` (any instant, any order); None means an undated copy."""
    source, feed = find_feed(source_id, feed_name)
    if observed_at and observed_at > settings.clock:
        raise ConfigError("--observed-at lies after the run's clock", source=source_id, rule="L.future_sighting",
                          action="give the UTC instant at which the page was seen")  # fmt: skip
    try:
        body = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path.name}: {error.strerror}", source=source_id, rule="config.file",
                          action="give a readable file") from None  # fmt: skip
    store = Store(settings.home)
    with store.lock(source_id, feed_name):
        landing = _Landing(store, source, feed, run_id, settings.clock)
        landing.take(
            body, seen_at=observed_at or settings.clock, origin=f"import/{path.name}",
            vintage_kind="archive" if observed_at else "pseudo",
        )  # fmt: skip
        attempt = landing.acknowledge()[0]
        runs.derive(settings.home, source, feed, settings.clock)
    return attempt


class _Landing:
    """One batch of payloads of one feed on its way to being acknowledged."""

    def __init__(self, store: Store, source: Source, feed: Feed, run_id: str, clock: datetime):
        self.store, self.source, self.feed = store, source, feed
        self.known = {a.sha256 for a in store.attempts(source.source_id, feed.name) if a.outcome in ACCEPTED}
        self.base = {"source": source.source_id, "feed": feed.name, "run_id": run_id, "recorded_at": clock}
        self.clock = clock
        self.batch: list[Attempt] = []

    def take(self, wire: bytes, *, seen_at: datetime, vintage_kind: str, encoding: str = "", **facts: object) -> str:
        """Make one payload durable, then look at it. Returns the outcome; nothing is visible before `acknowledge`."""
        facts |= {"seen_at": seen_at, "vintage_kind": vintage_kind, "encoding": encoding, "n_bytes": len(wire),
                  "parser_version": self.feed.parser_version}  # fmt: skip
        source_id, feed = self.source.source_id, self.feed
        try:
            sniff(inflate(wire, encoding, feed.max_bytes), feed.media)
        except ContractError as error:
            (sha, _), = self.store.put(source_id, feed.name, [wire], rejected=True)  # fmt: skip
            return self._note("REJECTED", sha256=sha, rule=error.rule, reason=error.message, **facts)
        (sha, _), = self.store.put(source_id, feed.name, [wire])  # fmt: skip
        try:
            n_rows = len(runs.parse_payload(feed, wire, encoding, seen_at, sha).rows)
            if n_rows < feed.min_rows and not (n_rows == 0 and feed.empty_ok):
                raise ContractError(f"{n_rows} rows where at least {feed.min_rows} are due", rule="G1.empty", action="")
        except ContractError as error:
            return self._note("REJECTED", sha256=sha, rule=error.rule, reason=error.message, **facts)
        outcome = "UNCHANGED" if sha in self.known else "LANDED" if n_rows else "EMPTY_OK"
        self.known.add(sha)
        return self._note(outcome, sha256=sha, n_rows=n_rows, **facts)

    def failed(self, error: CapmigError, *, origin: str, **facts: object) -> None:
        """Record an attempt that brought no bytes."""
        self._note("FAILED", seen_at=self.clock, vintage_kind="first_seen", origin=origin, rule=error.rule,
                   reason=error.message, attempts=getattr(error, "attempts", 0) or 0,
                   status=getattr(error, "status", 0) or 0, **facts)  # fmt: skip

    def _note(self, outcome: str, **facts: object) -> str:
        self.batch.append(attempt_of(outcome=outcome, **self.base, **facts))
        return outcome

    def acknowledge(self) -> list[Attempt]:
        """Append the batch to the manifest: from here on nothing of it can be lost."""
        self.store.append(self.batch)
        return self.batch
