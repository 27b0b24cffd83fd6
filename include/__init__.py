"""Capital Migration Warehouse. `from include import connect` is the researcher's door; importing it costs nothing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from include.answers.door import Door

__all__ = ["connect"]


def connect(as_of: "datetime | str | None" = None, home: "Path | str | None" = None) -> "Door":
    """Open what is served, or the warehouse as known at `as_of` (built on the first call, then kept), for reading.

    `as_of` is an aware datetime or a text such as `2026-01-23T03:07Z` (a date alone means its end); `home` stands in
    for `WAREHOUSE_HOME`.
    Raises `CapmigError`, one line: nothing is published yet, no such instant, or a file that cannot be read.
    """
    from include.answers.door import Door
    from include.core.clock import parse_instant
    from include.settings import load
    from include.warehouse import publish

    settings = load(home)
    if as_of is None:
        return Door(publish.served_file(settings.home), clock=settings.clock)
    from include.pipeline import build_as_of  # the build's machinery is heavy, and what is served needs none of it

    instant = parse_instant(as_of if isinstance(as_of, str) else as_of.isoformat(), key="as_of")
    return Door(build_as_of(settings, instant), clock=settings.clock, as_of=instant)
