"""A warehouse of a test's own: sources that the test declares beside the shipped ones, landed and built by the real path."""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

from include import pipeline
from include.core.clock import iso
from include.core.page import page
from include.core.parse import CONTEXT, day, number, read_json
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Source
from include.landing.land import import_file
from include.settings import Settings
from include.sources import registry
from include.warehouse import build as builds

MILLION = 6
CACHE = Path()  # the build cache of the pack's warehouse: the parsed project and the calendars
Cell = tuple[str, date, str]  # series, day, printed text; an empty text is a row without a figure


def source(source_id: str, evidence_kind: str, *, root: str = "", measures: str = "", rank: int = 9,
           unit: str = "usd", scale: int = MILLION, **feed: object) -> Source:  # fmt: skip
    """One provider with the feed `said`, whose pages `body` writes. `feed` overrides what the feed declares."""

    def parse(payload: Payload) -> Parsed:
        said = read_json(payload.body)
        rows = [
            Observation(series_id=series, event_date=day(on, "%Y-%m-%d"), unit=unit, value_raw=raw,
                        value=number(raw).scaleb(scale, CONTEXT) if raw else None,
                        obs_status="final" if raw else "not_yet", measurement_root=measures or None,
                        locator=f"row={on} col={series}")
            for series, on, raw in said["cells"]
        ]  # fmt: skip
        return page("observation", rows, [day(on, "%Y-%m-%d") for on in said["days"]])

    declared = {"name": "said", "kind": "INBOX", "clock": "curated", "shape": "observation", "media": "json",
                "parse": parse, "restates": "window", "release": Release("UTC247", 1, "12:00"), "revises": True}  # fmt: skip
    return Source(
        source_id=source_id, title=source_id, base_url="https://example.org", lineage_root=root or source_id,
        evidence_kind=evidence_kind, rank=rank, licence="made for a test", credit="", verified="recorded",
        feeds=(Feed(**declared | feed),),
    )  # fmt: skip


def body(cells: Iterable[Cell], days: Iterable[date] = ()) -> bytes:
    """A page of such a source: its cells, and the days that it speaks for beside theirs."""
    told = [[series, on.isoformat(), raw] for series, on, raw in cells]
    return json.dumps(
        {"cells": told, "days": sorted({on for _, on, _ in told} | {d.isoformat() for d in days})}
    ).encode()


@contextmanager
def registered(*sources: Source) -> Iterator[None]:
    """These sources are declared while the block runs; what they replace is declared again afterwards."""
    every = registry()
    before = dict(every)
    every.update({s.source_id: s for s in sources})
    try:
        yield
    finally:
        every.clear()
        every.update(before)


def take_in(settings: Settings, source_id: str, feed: str, at: datetime | None, page: bytes) -> str:
    """Import one page as seen at `at` (None: nobody knows). Returns the outcome."""
    path = settings.home / "page"
    path.write_bytes(page)
    return import_file(settings, source_id, feed, path, observed_at=at, run_id="taken-in").outcome


def land_curated(settings: Settings) -> None:
    """The rows that the product ships: which funds are listed, and what they hold."""
    for feed in ("fund_listing", "fund_aum", "policy_decision"):
        pipeline.land(settings, "curated", feed, run_id="curated")


def built(settings: Settings, name: str, as_of: datetime | None = None, *, only: tuple[str, ...] = ()) -> builds.Build:
    """Ledger and marts as known at `as_of`, or at the clock: all, or `only` these with everything that they read."""
    made = builds.prepare(settings.home, list(registry().values()), run_id=f"run-{name}", clock=settings.clock,
                          as_of=as_of, tables=pipeline._tables(settings.home))  # fmt: skip
    builds.run_dbt(made, ["build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test",
                          "--exclude", "path:models/ops", *(["--select", *(f"+{mart}" for mart in only)] if only else [])],
                   threads=2)  # fmt: skip
    return made


def home(path: Path, clock: datetime, **settings: object) -> Settings:
    """A fresh warehouse at `path` whose clock stands at `clock`."""
    path.mkdir(parents=True, exist_ok=True)
    shutil.copytree(CACHE, path / "build" / "cache", dirs_exist_ok=True)
    (path / "clock").write_text(iso(clock), encoding="utf-8")
    return Settings(warehouse_home=path, clock=clock, **settings)
