"""The registry: every module under `sources/<domain>/` that holds a `SOURCE`. A new file is a new source."""

import importlib
import pkgutil
from functools import cache

from include.core.source import Feed, Source


@cache
def registry() -> dict[str, Source]:
    """Every declared source by `source_id`, in a stable order."""
    found = {}
    for domain in ("macro", "etf", "chain", "events"):
        package = importlib.import_module(f"include.sources.{domain}")
        for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
            source = importlib.import_module(f"{package.__name__}.{module}").SOURCE
            found[source.source_id] = source
    return found


def domain_of(source: Source) -> str:
    """The folder a source stands in: macro, etf, chain or events."""
    parse = source.feeds[0].parse
    return getattr(parse, "func", parse).__module__.split(".")[2]


def feeds(clock: str | None = None) -> list[tuple[Source, Feed]]:
    """(source, feed) of a clock, or of all."""
    return [(s, f) for s in registry().values() for f in s.feeds if clock in (None, f.clock)]
