"""Files that a person saved: `inbox/<source>/<feed>__<instant>.<ext>`, the instant being when the page was seen.

`<feed>__undated.<ext>` is a copy whose instant nobody knows: its cells are dated by the feed's declared release lag
and flagged `pseudo`. Taken files move to `inbox/<source>/done/`; a wrong name stays, and is told the right one.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from include.core import disk
from include.core.clock import parse_instant, stamp
from include.core.errors import ConfigError

_NAME = re.compile(r"(?P<feed>[a-z0-9_]+)__(?P<when>\d{8}T\d{6}Z|undated)(?P<copy>-[a-z0-9]+)?\.(?P<ext>[a-z0-9]+)")


@dataclass(frozen=True, slots=True)
class Saved:
    """One inbox file with a good name. `seen_at` is None for an undated copy."""

    path: Path
    feed: str
    seen_at: datetime | None


def scan(home: Path, source_id: str, feeds: set[str], clock: datetime) -> tuple[list[Saved], list[ConfigError]]:
    """The files waiting for a source's feeds, oldest sighting first, and a refusal for every wrong name."""
    folder = home / "inbox" / source_id
    saved, refused = [], []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith(".") or not path.is_file() or path.is_symlink():
            continue
        match = _NAME.fullmatch(path.name)
        try:
            seen_at = parse_instant(match["when"]) if match and match["when"] != "undated" else None
        except ConfigError:  # the shape of an instant, but no day of any calendar
            match = seen_at = None
        if not match or match["feed"] not in feeds or (seen_at and seen_at > clock):
            refused.append(_wrong_name(path, source_id, feeds, clock, future=bool(seen_at and seen_at > clock)))
        else:
            saved.append(Saved(path, match["feed"], seen_at))
    return sorted(saved, key=lambda s: (s.seen_at or clock, s.path.name)), refused


def strays(home: Path, source_ids: set[str]) -> list[str]:
    """What lies in the inbox where no source looks: loose files, and folders of sources that have no inbox."""
    folder = home / "inbox"
    found = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    return [f"inbox/{name!a}" for name in found if not name.startswith(".") and name not in source_ids]


def _wrong_name(path: Path, source_id: str, feeds: set[str], clock: datetime, *, future: bool) -> ConfigError:
    feed = next((f for f in sorted(feeds) if path.name.startswith(f)), "|".join(sorted(feeds)))
    suffix = path.suffix or ".html"
    return ConfigError(
        f"inbox file {path.name[:80]!r} " + ("was seen after the run's clock" if future else "has a wrong name"),
        source=source_id,
        rule="L.inbox_name",
        action=f"name it {feed}__{stamp(clock)}{suffix} with the UTC instant at which the page was seen",
    )


def take(saved: Saved) -> None:
    """Move a landed file to `done/`. A file of that name there already is the same page and is replaced."""
    done = saved.path.parent / "done"
    disk.make_dir(done)
    saved.path.replace(done / saved.path.name)
