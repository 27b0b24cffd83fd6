"""One feed on its way in: fetched, or taken from its inbox or from a file; whole and durable before it counts.

The bytes are placed before anyone looks at them. What is refused is kept too, with the reason.
"""

import inspect
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from include.core import disk
from include.core.clock import iso, parse_instant
from include.core.columnar import Columnar
from include.core.errors import CapmigError, ConfigError, ContractError, PermanentError
from include.core.parse import bounded, inflate, inflating, sniff
from include.core.source import ORDINARY_BYTES, Feed, Payload, Source, Window
from include.landing import inbox, runs
from include.landing.http import Client
from include.landing.store import ACCEPTED, Attempt, Store, attempt_of
from include.settings import Settings, disabled, is_loopback
from include.sources import find_feed

MAX_PAGES = 2000


def land(
    settings: Settings, source_id: str, feed_name: str, *, run_id: str, window: Window | None = None
) -> list[Attempt]:
    """Land one feed: fetch it, or take what waits in its inbox. Returns the attempts, which are durable by then.

    Without a `window` it is everything the first time, `history_days` afterwards. A source's failure is an outcome,
    not an exception: exceptions are for our own configuration and disk.
    """
    source, feed = find_feed(source_id, feed_name)
    if why := disabled(source, feed):
        raise ConfigError(f"{source_id}/{feed_name} is disabled: {why}", source=source_id, rule="config.disabled",
                          action="see `capmig status --sources` for what is")  # fmt: skip
    store = Store(settings.home)
    with store.lock(source_id, feed_name):
        landing = _Landing(store, source, feed, run_id, settings.clock)
        if feed.kind == "INBOX":
            _land_files(settings, landing)
        elif window or _due(settings, store, source, feed):
            days = feed.history_days if store.last_accepted(source_id, feed_name) else feed.first_history_days
            _land_fetched(settings, landing, window or Window.back(days, settings.clock))
        landing.derive(settings.home)
    return landing.batch


def _due(settings: Settings, store: Store, source: Source, feed: Feed) -> bool:
    """Whether a feed should be asked now: not twice at one instant, and not before `every_s` has passed but on its
    eager days."""
    here = [a for a in store.attempts(source.source_id, feed.name) if a.seen_at == iso(settings.clock)]
    if here and all(a.outcome in ACCEPTED for a in here):
        return False
    last = store.last_accepted(source.source_id, feed.name)
    return (
        not last
        or settings.clock.date() in feed.eager_days
        or settings.clock - parse_instant(last) >= timedelta(seconds=feed.every_s)
    )


def _land_fetched(settings: Settings, landing: "_Landing", window: Window) -> None:
    """Fetch every page of a window. Pages are written as they come; one manifest append acknowledges them all."""
    source, feed = landing.source, landing.feed
    span = {"window_start": window.start.isoformat(), "window_end": window.end.isoformat()}
    client = client_of(settings, source)
    waiting, asked = deque(feed.requests(window)), set()
    while waiting:
        request = waiting.popleft()
        with landing.spool() as spool:
            try:
                if repr(request) in asked or len(asked) >= MAX_PAGES:
                    raise PermanentError("the source's pages do not end", source=source.source_id, rule="L.cursor_loop",
                                         action="look at the landed pages and at the feed's `follow`")  # fmt: skip
                asked.add(repr(request))
                response = client.fetch(request, max_bytes=feed.max_bytes, into=spool)
            except CapmigError as error:
                landing.failed(error, origin=f"{request.method} {request.path}", **span)
                break
            encoding = response.headers.get("content-encoding", "")
            outcome = landing.take(
                spool, seen_at=settings.clock, vintage_kind="first_seen", origin=response.url, encoding=encoding,
                status=response.status, attempts=response.attempts, seconds=round(response.seconds, 3),
                headers=response.headers, **span,
            )  # fmt: skip
            if outcome == "REJECTED" or landing.torn:
                break
            following = feed.follow and feed.follow(request, inflate(spool.open().read(), encoding, feed.max_bytes))
        if following:
            waiting.appendleft(following)
    landing.acknowledge()


def client_of(settings: Settings, source: Source) -> Client:
    """The one client, at the source's own pace; a loopback server needs none. `ConfigError` if a run whose clock lies
    in the past would ask a real host."""
    loopback = is_loopback(settings.base_url(source))
    if settings.clock_is_past and not loopback:
        raise ConfigError("the run's clock lies in the past, and a real host would be asked", source=source.source_id,
                          rule="config.past_clock",
                          action="unset CAPMIG_CLOCK and use a WAREHOUSE_HOME of its own for live data")  # fmt: skip
    return Client(
        source=replace(source, min_interval_s=0) if loopback else source, base_url=settings.base_url(source),
        contact=settings.contact, key=settings.key(source), state_dir=settings.home / "http",
        deadline_s=settings.fetch_deadline_s, tries=settings.fetch_tries, retry_cap_s=settings.retry_cap_s,
    )  # fmt: skip


def _land_files(settings: Settings, landing: "_Landing") -> None:
    """Take in what waits for a feed: the rows that the product ships, then saved pages, oldest first."""
    source, feed = landing.source, landing.feed
    if feed.shipped:
        path = Path(inspect.getfile(feed.parse)).parent / feed.shipped
        with path.open("rb") as file:
            landing.take_file(file, seen_at=settings.clock, vintage_kind="first_seen", origin=f"shipped/{path.name}")
    saved, refused = inbox.scan(settings.home, source.source_id, {f.name for f in source.feeds}, settings.clock)
    if feed == next(f for f in source.feeds if f.kind == "INBOX"):  # a wrong name belongs to no feed: told once
        for error in refused:
            landing.failed(error, origin=f"inbox/{source.source_id}", reason=f"{error.message}: {error.action}")
    mine = [s for s in saved if s.feed == feed.name]
    for page in mine:
        with page.path.open("rb") as file:
            landing.take_file(
                file, seen_at=page.seen_at or settings.clock, origin=f"inbox/{page.path.name}",
                vintage_kind="archive" if page.seen_at else "pseudo",
            )  # fmt: skip
    landing.acknowledge()
    for page in mine:
        inbox.take(page)


def import_file(
    settings: Settings, source_id: str, feed_name: str, path: Path, *, observed_at: datetime | None, run_id: str
) -> Attempt:
    """Land one saved page as seen at `observed_at` (any instant, any order); None means an undated copy."""
    source, feed = find_feed(source_id, feed_name)
    if observed_at and observed_at > settings.clock:
        raise ConfigError("--observed-at lies after the run's clock", source=source_id, rule="L.future_sighting",
                          action="give the UTC instant at which the page was seen")  # fmt: skip
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigError(f"cannot read {path.name}: {error.strerror}", source=source_id, rule="config.file",
                          action="give a readable file") from None  # fmt: skip
    store = Store(settings.home)
    with file, store.lock(source_id, feed_name):
        landing = _Landing(store, source, feed, run_id, settings.clock)
        landing.take_file(
            file, seen_at=observed_at or settings.clock, origin=f"import/{path.name}",
            vintage_kind="archive" if observed_at else "pseudo",
        )  # fmt: skip
        landing.acknowledge()
        landing.derive(settings.home)
    return landing.batch[0]


class _Landing:
    """One batch of payloads of one feed on its way to being acknowledged."""

    def __init__(self, store: Store, source: Source, feed: Feed, run_id: str, clock: datetime):
        self.store, self.source, self.feed = store, source, feed
        self.known = {a.sha256 for a in store.attempts(source.source_id, feed.name) if a.outcome in ACCEPTED}
        self.base = {"source": source.source_id, "feed": feed.name, "run_id": run_id, "recorded_at": clock}
        self.clock = clock
        self.batch: list[Attempt] = []
        self.parsed: runs.Seen = {}  # for the derivation that follows
        self.room = runs.HELD_ROWS
        self.part = runs.Part(store.root.parent, source, feed) if isinstance(feed.parse, Columnar) else None

    def spool(self) -> disk.Spool:
        """Where the next payload comes in."""
        return self.store.spool(self.source.source_id, self.feed.name)

    def take_file(self, file: BinaryIO, **facts: object) -> str:
        """`take` the content of a file."""
        with self.spool() as spool:
            spool.fill(file)
            return self.take(spool, **facts)

    def take(self, spool: disk.Spool, **facts: object) -> str:
        """Place one payload, then look at it. Returns the outcome; nothing is visible before `acknowledge`."""
        source_id, feed, sha = self.source.source_id, self.feed, spool.sha256
        attempt = attempt_of(outcome="LANDED", sha256=sha, n_bytes=spool.n_bytes, parser_version=feed.parser_version,
                             **self.base, **facts)  # fmt: skip
        with spool.open() as wire:
            pieces = inflating(wire, attempt.encoding, feed.max_bytes)
            try:
                body = self._sniffed(pieces)
            except ContractError as error:
                self.store.put(source_id, feed.name, spool, rejected=True)
                return self._refused(attempt, error)
            self.store.put(source_id, feed.name, spool)
            try:
                n_rows = self._rows(attempt, body, pieces)
                if not (self.part and n_rows):
                    self.feed.check_size(n_rows)
            except ContractError as error:
                return self._refused(attempt, error)
        outcome = "UNCHANGED" if sha in self.known else "LANDED" if n_rows else "EMPTY_OK"
        self.known.add(sha)
        self.batch.append(replace(attempt, outcome=outcome, n_rows=n_rows))
        return outcome

    @property
    def torn(self) -> bool:
        """Whether a payload that was taken has been found to be refused since."""
        return self.part is not None and self.part.torn

    def _sniffed(self, pieces: Iterator[bytes]) -> bytes:
        """The whole body, found to be of the feed's medium; of a columnar feed its first piece."""
        body = next(pieces, b"") if self.part else b"".join(pieces)
        sniff(body, self.feed.media)
        if not self.part and self.feed.max_bytes <= ORDINARY_BYTES:
            bounded(body)
        return body

    def _rows(self, attempt: Attempt, body: bytes, rest: Iterator[bytes]) -> int:
        """Parse one payload, and keep what it says for the derivation. Returns how many rows it has."""
        if self.part:
            return self.part.add(attempt, chain([body], rest))
        page = self.feed.parse(Payload(body=body, seen_at=parse_instant(attempt.seen_at), sha256=attempt.sha256))
        aside = self.store.incoming(self.source.source_id, self.feed.name)
        said = runs.digest(self.source, self.feed, attempt, page, aside, self.room)
        self.parsed[attempt.sha256, attempt.seen_at] = said
        self.room = max(0, self.room - len(page.rows))
        return len(page.rows)

    def _refused(self, attempt: Attempt, error: ContractError) -> str:
        self.batch.append(_rejected(attempt, error))
        return "REJECTED"

    def failed(self, error: CapmigError, *, origin: str, **facts: object) -> None:
        """Record an attempt that brought no bytes."""
        told = {"reason": error.message, "attempts": getattr(error, "attempts", 0) or 0,
                "status": getattr(error, "status", 0) or 0} | facts  # fmt: skip
        self.batch.append(
            attempt_of(outcome="FAILED", seen_at=self.clock, vintage_kind="first_seen", origin=origin, rule=error.rule,
                       **self.base, **told)
        )  # fmt: skip

    def acknowledge(self) -> None:
        """Append the batch to the manifest: from here on nothing of it can be lost."""
        if self.part:
            refused = self.part.finish()
            self.batch = [self._settled(a, refused) if a.outcome in ACCEPTED else a for a in self.batch]
        self.store.append(self.batch)

    def _settled(self, attempt: Attempt, refused: dict[runs.Sighting, ContractError]) -> Attempt:
        """An attempt of a columnar feed, now that its records are read."""
        n_rows = self.part.n_rows(attempt)
        try:
            if error := refused.get((attempt.sha256, attempt.seen_at)):
                raise error
            self.feed.check_size(n_rows)
        except ContractError as error:
            return _rejected(attempt, error)
        return replace(attempt, n_rows=n_rows)

    def derive(self, home: Path) -> None:
        """Bring the feed's rows up to date with what was acknowledged."""
        runs.derive(home, self.source, self.feed, self.clock, self.parsed, self.part)


def _rejected(attempt: Attempt, error: ContractError) -> Attempt:
    return replace(attempt, outcome="REJECTED", n_rows=0, rule=error.rule, reason=error.message)
