"""The registry: a module `sources/<domain>/<source_id>.py` that holds a `SOURCE` each. A new file is a new source."""

import importlib
import pkgutil
from collections import UserDict
from difflib import get_close_matches
from functools import cache

from include.core.errors import ConfigError
from include.core.source import Feed, Source


class _Registry(UserDict):
    """Sources by `source_id`. A file is read when its source is asked for: who lands one feed needs no other."""

    def __getitem__(self, source_id: str) -> Source:
        kept = self.data[source_id]
        if isinstance(kept, str):
            kept = self.data[source_id] = importlib.import_module(kept).SOURCE
        return kept


@cache
def registry() -> _Registry:
    """Every declared source by `source_id`, in a stable order."""
    found = {}
    for domain in ("macro", "etf", "chain", "events"):
        package = importlib.import_module(f"include.sources.{domain}")
        names = sorted(m.name for m in pkgutil.iter_modules(package.__path__))
        found |= {name: f"{package.__name__}.{name}" for name in names}
    return _Registry(found)


def domain_of(source: Source) -> str:
    """The folder a source stands in: macro, etf, chain or events."""
    parse = source.feeds[0].parse
    return getattr(parse, "func", parse).__module__.split(".")[2]


def feeds(clock: str | None = None) -> list[tuple[Source, Feed]]:
    """(source, feed) of a clock, or of all."""
    return [(s, f) for s in registry().values() for f in s.feeds if clock in (None, f.clock)]


def find_source(source_id: str) -> Source:
    """A declared source; `ConfigError` names those that are most like it."""
    sources = registry()
    if source_id not in sources:
        near = get_close_matches(source_id, sources, n=5) or sorted(sources)[:5]
        raise ConfigError(f"no source {source_id[:40]!r}", rule="config.unknown_source",
                          action=f"use one of LICENSE-DATA.md: {', '.join(near)}")  # fmt: skip
    return sources[source_id]


def find_feed(source_id: str, feed_name: str) -> tuple[Source, Feed]:
    """A declared source and feed; `ConfigError` names what there is."""
    source = find_source(source_id)
    if feed_name not in {f.name for f in source.feeds}:
        raise ConfigError(f"{source_id} has no feed {feed_name[:40]!r}", rule="config.unknown_feed",
                          action=f"use one of {', '.join(f.name for f in source.feeds)}")  # fmt: skip
    return source, source.feed(feed_name)
