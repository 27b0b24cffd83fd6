"""One module a source: figures of the pack in the source's wire shape.

Each has `MEDIA` (the Content-Type) and `answer(ask, clock) -> bytes`: what the source would have sent at `clock`,
`BadRequest` for parameters that it would have refused, `NoRecord` for what the pack does not hold.
"""

import importlib
import pkgutil
from functools import cache
from types import ModuleType


@cache
def encoders() -> dict[str, ModuleType]:
    """Every encoder by `source_id`. A new file is a new encoder."""
    return {m.name: importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)}
