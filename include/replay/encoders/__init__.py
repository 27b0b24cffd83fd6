"""One module a source: figures of the pack in the source's wire shape.

Each has `MEDIA` (the Content-Type) and `answer(ask, clock) -> bytes`: what the source would have sent at `clock`,
`BadRequest` for parameters that it would have refused, `NoRecord` for what the pack does not hold.
"""

import importlib
import pkgutil
from datetime import datetime, timedelta
from functools import cache
from types import ModuleType

from include.core.source import Window
from include.replay.record import Ask, BadRequest, NoRecord
from include.sources import registry


@cache
def encoders() -> dict[str, ModuleType]:
    """Every encoder by `source_id`. A new file is a new encoder."""
    return {m.name: importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)}


def absent(clock: datetime) -> list[str]:
    """`source/feed` of each feed whose source has an encoder, and of which the record has nothing by `clock`."""
    found = []
    for source_id, encoder in encoders().items():
        for feed in registry()[source_id].feeds:
            start = clock.date() - timedelta(days=feed.first_history_days)
            asked = feed.requests(Window(start, clock.date() + timedelta(days=1), clock)) if feed.requests else ()
            try:
                for request in asked:
                    encoder.answer(Ask(request.path, dict(request.params), request.json or {}), clock)
                    break
            except NoRecord:
                found.append(f"{source_id}/{feed.name}")
            except BadRequest:
                continue
    return found
