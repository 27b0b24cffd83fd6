"""The public record that the pack holds: figures as published, and which of them were public at an instant.

`pack/<source>__<feed>.csv` holds series, period, value (the printed text), known_from (ISO UTC, or empty where the
feed's release rule dates the figure); `pack/sources.csv` says for each file who published it, where, under which
terms, and by which path the figures came here. Nothing in it is estimated, and what it lacks is not answered.
"""

import csv
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

from include.core.calendars import released_at
from include.core.clock import parse_instant
from include.sources import registry

PACK = Path(__file__).with_name("pack")
PACK_CLOCK = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)


class NoRecord(LookupError):
    """The pack has no record of what was asked for."""


class BadRequest(ValueError):
    """The source would have refused these parameters."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request as an encoder sees it: the path below the source's base URL, its parameters and its JSON body."""

    path: str
    params: dict[str, str]
    body: dict

    def day(self, name: str, fmt: str) -> date:
        """A date parameter in the source's own format; `BadRequest` if it is missing or is none."""
        try:
            return datetime.strptime(self.params.get(name, ""), fmt).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            raise BadRequest(f"{name} is not a date in {fmt}") from None


@dataclass(frozen=True, slots=True)
class Figure:
    """One published cell; `known_from` is None where the release rule of its feed says when it was public."""

    series: str
    period: date
    value: str
    known_from: datetime | None


@cache
def figures(name: str) -> tuple[Figure, ...]:
    """Every figure of `pack/<name>.csv`, in the order of the file."""
    with (PACK / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            Figure(
                row["series"],
                date.fromisoformat(row["period"]),
                row["value"],
                parse_instant(row["known_from"]) if row["known_from"] else None,
            )
            for row in csv.DictReader(file)
        )


def known(source_id: str, feed: str, clock: datetime) -> dict[date, dict[str, str]]:
    """What of a feed's table was public at `clock`: printed text by period and series, oldest period first.

    `NoRecord` if the pack has nothing of it by then.
    """
    table: dict[date, dict[str, str]] = {}
    for figure in figures(f"{source_id}__{feed}"):
        public = figure.known_from or released_at(registry()[source_id].feed(feed).release, figure.period)
        if public <= clock:
            table.setdefault(figure.period, {})[figure.series] = figure.value
    if not table:
        raise NoRecord(f"{source_id} {feed} by {clock:%Y-%m-%dT%H:%M:%SZ}")
    return dict(sorted(table.items()))


def between(table: dict[date, dict[str, str]], start: date, end: date) -> dict[date, dict[str, str]]:
    """The rows of `[start, end]`. A span that ends before the record begins is `NoRecord`, not an empty answer."""
    if end < start:
        raise BadRequest("the span ends before it starts")
    if end < next(iter(table)):
        raise NoRecord(f"days before {next(iter(table))}")
    return {day: row for day, row in table.items() if start <= day <= end}
