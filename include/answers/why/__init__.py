"""From a published row back to its inputs, versions, sources, payload bytes and query; and the same as an archive."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Landed:
    """Where a payload's bytes are. `read` checks them against their name and raises `IntegrityError`."""

    path: str  # relative to WAREHOUSE_HOME
    n_bytes: int
    encoding: str  # "gzip", or "" for bytes as they are
    read: Callable[[], bytes]


Locate = Callable[[str, str, str], Landed | None]  # source, feed, sha256; None: nothing of that name has landed
