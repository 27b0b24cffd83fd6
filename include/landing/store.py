"""Write-once landing: content-addressed bytes and an append-only manifest of every attempt.

    landing/raw/<source>/<feed>/<sha256>        wire bytes, mode 0444, never overwritten
    landing/rejected/<source>/<feed>/<sha256>   bytes that are not even of the declared kind
    landing/incoming/<source>/<feed>/           bytes that are still coming in; what a crash left goes with the next try
    landing/manifest/<source>/<feed>.jsonl      one line an attempt; bytes without a line are invisible

Order of a landing: bytes, link, fsync of files and directory, manifest line, fsync; only then is it acknowledged.
A paged fetch is one batch: its fsyncs come together at the end.
"""

import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from include.core import disk
from include.core.clock import iso, parse_instant
from include.core.errors import IntegrityError

ACCEPTED = ("LANDED", "UNCHANGED", "EMPTY_OK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt to get a payload: a manifest line, and a row of `ops.fct_fetch_outcome`.

    `seen_at` is when the bytes were (or would have been) seen, `recorded_at` when we wrote it down; both ISO UTC.
    """

    source: str
    feed: str
    run_id: str
    seen_at: str
    recorded_at: str
    outcome: str  # LANDED | UNCHANGED | EMPTY_OK | REJECTED | FAILED
    vintage_kind: str  # first_seen | archive | pseudo
    origin: str  # url (redacted), or inbox/<file name>
    sha256: str = ""
    n_bytes: int = 0
    encoding: str = ""
    n_rows: int = 0
    parser_version: str = ""
    window_start: str = ""
    window_end: str = ""
    status: int = 0
    attempts: int = 0
    seconds: float = 0.0
    rule: str = ""
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def sighting(self) -> tuple[str, str, str]:
        """What makes two accepted attempts one sighting."""
        return self.seen_at, self.sha256, self.vintage_kind


_FIELDS = [f.name for f in fields(Attempt)]


def _line(attempt: Attempt) -> str:
    said = {name: getattr(attempt, name) for name in _FIELDS}
    body = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{zlib.crc32(body.encode()):08x} {body}"


class Store:
    """The landing zone of one warehouse. These four calls are all that an object store would have to offer:
    `put`, `append`, `read`, `attempts`."""

    def __init__(self, home: Path):
        self.root = home / "landing"

    def _manifest(self, source: str, feed: str) -> Path:
        return self.root.joinpath("manifest", source, f"{feed}.jsonl")

    @contextmanager
    def lock(self, source: str, feed: str) -> Iterator[None]:
        """The one writer of a feed. Landing, and the derivation of rows from it, happen inside."""
        path = self._manifest(source, feed).with_suffix(".lock")
        disk.make_dir(path.parent)
        with FileLock(path, timeout=600):
            disk.sweep_temps(self.incoming(source, feed))
            yield
            disk.sweep_temps(self.incoming(source, feed))

    def incoming(self, source: str, feed: str) -> Path:
        """Where files of a feed stand that are not whole yet. What a crash left there goes with the next lock."""
        return self.root.joinpath("incoming", source, feed)

    def spool(self, source: str, feed: str) -> disk.Spool:
        """Where a payload of a feed comes in, whatever its size."""
        return disk.Spool(self.incoming(source, feed))

    def put(self, source: str, feed: str, body: disk.Spool, *, rejected: bool = False) -> Path:
        """Place a payload under its sha256; returns where. `append` makes it durable before it names it."""
        path = self.root.joinpath("rejected" if rejected else "raw", source, feed, body.sha256)
        disk.make_dir(path.parent)
        body.place(path)
        return path

    def append(self, attempts: list[Attempt]) -> None:
        """Acknowledge attempts of one feed: their bytes are made durable, then the lines that name them.

        After this they are visible and will not be lost. A batch costs one fsync a new file, one a directory and one
        for the manifest.
        """
        if not attempts:
            return
        written = {self.path(a) for a in attempts if a.sha256 and a.outcome != "UNCHANGED"}
        for path in sorted(written):
            disk.fsync_file(path)
        for directory in {path.parent for path in written}:
            disk.fsync_dir(directory)
        path = self._manifest(attempts[0].source, attempts[0].feed)
        disk.make_dir(path.parent)
        disk.append_lines(path, [_line(a) for a in attempts])

    def read(self, attempt: Attempt) -> bytes:
        """The landed bytes, checked against their name. `IntegrityError` names the file."""
        return self.checked(attempt).read_bytes()

    def checked(self, attempt: Attempt) -> Path:
        """Where the landed bytes are, once they were found to be what their name says. `IntegrityError` if not."""
        path = self.path(attempt)
        if disk.file_sha256(path) != attempt.sha256:
            raise IntegrityError(
                f"landed file {path.relative_to(self.root.parent)} is missing or changed",
                source=attempt.source,
                rule="L.checksum",
                action="restore it from a copy; `capmig status --verify` lists every damaged file",
            )
        return path

    def path(self, attempt: Attempt) -> Path:
        """Where an attempt's bytes are."""
        where = (attempt.source, attempt.feed, attempt.sha256)
        raw = self.root.joinpath("raw", *where)
        return raw if raw.exists() else self.root.joinpath("rejected", *where)

    def attempts(self, source: str, feed: str) -> list[Attempt]:
        """Every acknowledged attempt of a feed, as written. A torn line is unread; a damaged one is an error."""
        path = self._manifest(source, feed)
        if not path.exists():
            return []
        lines = path.read_bytes().split(b"\n")
        out = []
        for number, raw in enumerate(lines, start=1):
            attempt = _parse(raw)
            if attempt is not None:
                out.append(attempt)
            elif raw.endswith(b"}"):  # whole, so not torn by a crash: somebody changed it
                raise IntegrityError(
                    f"line {number} of {path.relative_to(self.root.parent)} does not match its checksum",
                    source=source,
                    rule="L.checksum",
                    action="restore the manifest from a copy",
                )
        return out

    def sightings(self, source: str, feed: str) -> list[Attempt]:
        """Accepted attempts, each sighting once, in the order of time."""
        once: dict[tuple[str, str, str], Attempt] = {}
        for attempt in self.attempts(source, feed):
            if attempt.outcome in ACCEPTED:
                once.setdefault(attempt.sighting(), attempt)
        return sorted(once.values(), key=Attempt.sighting)

    def last_accepted(self, source: str, feed: str) -> str:
        """`seen_at` of the newest accepted attempt, "" if there is none."""
        return max((a.seen_at for a in self.attempts(source, feed) if a.outcome in ACCEPTED), default="")

    def feeds(self) -> list[tuple[str, str]]:
        """(source, feed) of every manifest."""
        return sorted((p.parent.name, p.stem) for p in (self.root / "manifest").glob("*/*.jsonl"))

    def verify(self) -> list[str]:
        """Every damaged file and manifest line, one message each. Empty when all is as it was written."""
        known = self.feeds()
        problems = [
            f"landing/manifest/{folder.parent.name}/{folder.name}.jsonl is missing while bytes of its feed are kept"
            for folder in sorted((self.root / "raw").glob("*/*"))
            if (folder.parent.name, folder.name) not in known and any(folder.glob("[0-9a-f]*"))
        ]
        for source, feed in known:
            try:
                attempts = self.attempts(source, feed)
            except IntegrityError as error:
                problems.append(str(error))
                continue
            for attempt in {a.sha256: a for a in attempts if a.sha256}.values():
                try:
                    self.checked(attempt)
                except IntegrityError as error:
                    problems.append(str(error))
        return problems


def _parse(raw: bytes) -> Attempt | None:
    crc, _, body = raw.partition(b" ")
    try:
        if int(crc, 16) != zlib.crc32(body):
            return None
        return Attempt(**json.loads(body))
    except (ValueError, TypeError):
        return None


def attempt_of(
    source: str, feed: str, run_id: str, seen_at: datetime, recorded_at: datetime, **rest: object
) -> Attempt:
    """An `Attempt` from instants rather than texts."""
    return Attempt(source=source, feed=feed, run_id=run_id, seen_at=iso(seen_at), recorded_at=iso(recorded_at), **rest)


def outcome_rows(attempts: Iterable[Attempt]) -> list[dict]:
    """Manifest lines as rows of `fetch_outcome`, an attempt repeated under one clock once.

    Durations stay in the manifest: they differ between two runs that did the same.
    """
    once: dict[tuple, dict] = {}
    for a in attempts:
        key = (
            a.source,
            a.feed,
            a.seen_at,
            a.origin,
            a.outcome in ("LANDED", "UNCHANGED", "EMPTY_OK"),
            a.sha256,
            a.rule,
        )
        once.setdefault(
            key,
            {
                "source_id": a.source, "feed": a.feed, "run_id": a.run_id, "seen_at": parse_instant(a.seen_at),
                "recorded_at": parse_instant(a.recorded_at), "outcome": a.outcome, "rule_id": a.rule,
                "reason": a.reason, "origin": a.origin, "http_status": a.status, "http_attempts": a.attempts,
                "n_bytes": a.n_bytes, "n_rows": a.n_rows, "payload_sha256": a.sha256,
                "vintage_kind": a.vintage_kind, "window_start": a.window_start, "window_end": a.window_end,
                "parser_version": a.parser_version, "headers": json.dumps(a.headers, sort_keys=True),
            },
        )  # fmt: skip
    return list(once.values())
