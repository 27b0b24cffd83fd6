"""One polite request to a feed, to see whether it answers and still keeps its contract. Nothing is landed.

The verdict is `as declared`, `drifted` (it answers, in another shape), `blocked` (it refuses this network or key) or
`unreachable`. What changed is told against the newest payload that was landed, where there is one.
"""

import csv
import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from include.core import disk
from include.core.clock import stamp
from include.core.errors import CapmigError, ConfigError, ContractError
from include.core.parse import inflate, sniff
from include.core.shapes import POSITION_FIGURES, Document, Parsed, Position, Row
from include.core.source import Feed, Payload, Source, Window
from include.landing.land import client_of
from include.landing.store import Store
from include.settings import Settings, disabled

BLOCKED = {401, 402, 403, 407, 429, 451}
DAYS = 10  # how far back a WINDOW feed is asked
SHOWN = 6  # changed names that a line lists


@dataclass(frozen=True, slots=True)
class Found:
    """What one probe found: a verdict, what it rests on, the bytes (inflated; b"" if none) and the rows in them."""

    source_id: str
    feed: str
    verdict: str
    detail: str
    body: bytes = b""
    parsed: Parsed | None = None
    rule: str = ""
    seconds: float = 0.0


def probe(settings: Settings, source: Source, feed: Feed) -> Found:
    """Ask a feed once and say how it answers. Nothing is landed; one try, at the source's own pace."""
    name = (source.source_id, feed.name)
    if feed.requests is None:
        return Found(*name, "inbox", feed.requires)
    if why := disabled(source, feed):
        return Found(*name, "disabled", why)
    client = client_of(settings.model_copy(update={"fetch_tries": 1}), source)
    window = Window.back(DAYS if feed.kind == "WINDOW" else 1, settings.clock)
    request = next(iter(feed.requests(window)), None)
    if request is None:
        return Found(*name, "not asked", "nothing is due, or watched, at this hour")
    try:
        with TemporaryDirectory() as folder, disk.Spool(Path(folder)) as spool:
            response = client.fetch(request, max_bytes=feed.max_bytes, into=spool)
            wire = spool.open().read()
    except CapmigError as error:
        verdict = "blocked" if getattr(error, "status", 0) in BLOCKED else "unreachable"
        return Found(*name, verdict, error.message, rule=error.rule)
    encoding, landed = response.headers.get("content-encoding", ""), _landed(Store(settings.home), source, feed)
    body = b""
    try:
        body = inflate(wire, encoding, feed.max_bytes)
        sniff(body, feed.media)
        parsed = feed.parse(Payload(body=body, seen_at=window.at))
        feed.check_size(len(parsed.rows))
    except ContractError as error:
        verdict = "blocked" if b"just a moment" in body[:4096].lower() else "drifted"
        changed = changes(landed, body, feed.media) if landed else ""
        detail = error.message + (f"; {changed}" if changed else "")
        return Found(*name, verdict, detail, body, rule=error.rule, seconds=response.seconds)
    changed = changes(landed, body, feed.media) if landed else ""
    detail = f"{len(parsed.rows)} rows" + (f"; beside what is read, {changed}" if changed else "")
    return Found(*name, "as declared", detail, body, parsed, seconds=response.seconds)


def changes(before: bytes, after: bytes, media: str) -> str:
    """Which names of fields, columns or elements came and went between two payloads; "" if none did."""
    old, new = names(before, media), names(after, media)
    told = [(f"new: {_some(new - old)}", new - old), (f"gone: {_some(old - new)}", old - new)]
    return ", ".join(text for text, which in told if which)


def _some(which: set[str]) -> str:
    more = f" and {len(which) - SHOWN} more" if len(which) > SHOWN else ""
    return " ".join(sorted(which)[:SHOWN]) + more


def names(body: bytes, media: str) -> set[str]:
    """The names that give a payload its shape: JSON keys, the longest line of a CSV's first ten, elements, headers."""
    text = body.decode("utf-8", errors="replace").lstrip("\ufeff")
    if media == "json":
        try:
            return set(_keys(json.loads(text)))
        except (ValueError, RecursionError):
            return set()
    if media == "csv":
        return {cell.strip() for cell in max(csv.reader(text.splitlines()[:10]), key=len, default=[]) if cell.strip()}
    if media == "html":
        return {re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<th[^>]*>(.*?)</th>", text, re.S)}
    return set(re.findall(r"<([A-Za-z_][\w:.-]*)", text))


def _keys(node: object, depth: int = 0) -> list[str]:
    """Keys at any depth to eight; of a list, the first hundred items speak for the rest. A key that is data (a date, a
    number) is not a name."""
    if depth > 8:
        return []
    if isinstance(node, dict):
        own = [key for key in node if not re.match(r"[\d0x-]", key)]
        return own + [name for value in list(node.values())[:100] for name in _keys(value, depth + 1)]
    return [name for item in node[:100] for name in _keys(item, depth + 1)] if isinstance(node, list) else []


def keep(found: Found, feed: Feed, folder: Path, at: datetime) -> Path:
    """Write the bytes as a recorded case: the payload, and its rows (`.expected.csv`) or rule (`.refused`)."""
    path = folder / found.source_id / f"{found.feed}__probed_{stamp(at).lower()}.{feed.media}"
    try:
        disk.make_dir(path.parent)
        disk.write_new(path, found.body)
        if found.parsed is None:
            disk.write_new(path.with_suffix(".refused"), f"{found.rule}\n".encode())
        else:
            with path.with_suffix(".expected.csv").open("x", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(["cell", "day", "instant", "value", "status"])
                writer.writerows(sorted(map(expectation, found.parsed.rows)))
    except OSError as error:
        raise ConfigError(f"cannot keep the case: {error.strerror}", source=found.source_id, rule="config.file",
                          action="name a folder that can be written, or a new one") from None  # fmt: skip
    return path


def expectation(row: Row) -> tuple[str, ...]:
    """A row as `.expected.csv` states it: cell, day, instant, value and status."""
    if isinstance(row, Position):
        figures = [f"{n}={v.normalize():f}" for n in POSITION_FIGURES if (v := getattr(row, n)) is not None]
        cell = f"{row.venue} {row.account} {row.instrument} {row.record_kind}"
        said = " ".join([word for word in (row.side, row.margin_mode) if word] + figures)
        return cell, row.event_date.isoformat(), f"{row.event_at:%Y-%m-%dT%H:%M:%SZ}", said, row.obs_status
    instant = "" if row.event_at is None else f"{row.event_at:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(row, Document):
        return row.url or row.doc_sha256, row.event_date.isoformat(), instant, row.title or "", row.obs_status
    cell = row.series_id if hasattr(row, "series_id") else f"{row.event_id} {row.attribute}"
    said = getattr(row, "value_text", None) or ("" if row.value is None else f"{row.value.normalize():f}")
    return cell, row.event_date.isoformat(), instant, said, row.obs_status


def _landed(store: Store, source: Source, feed: Feed) -> bytes | None:
    """The newest payload of a feed that was accepted here, inflated; None if there is none."""
    good = [a for a in store.attempts(source.source_id, feed.name) if a.outcome == "LANDED"]
    return inflate(store.read(good[-1]), good[-1].encoding, feed.max_bytes) if good else None
