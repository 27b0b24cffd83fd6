"""The two files of a new source, as a start that passes the contract test: a parser of `Date,Value` and its cases.

The templates beside this file are what `capmig new-source` writes. They declare `verified="guessed"`, so that nothing
is asked before a person has put the real contract in.
"""

import re
from pathlib import Path
from string import Template

from include.core.errors import ConfigError

DOMAINS = ("macro", "etf", "chain", "events")
_NAME = re.compile(r"[a-z][a-z0-9_]{1,30}", re.ASCII)
_HERE = Path(__file__).parent


def write(root: Path, domain: str, provider: str, taken: set[str]) -> list[Path]:
    """Write the source and its cases below `root`. Returns the new files; `ConfigError` before anything is written."""
    if domain not in DOMAINS:
        raise ConfigError(f"no domain {domain[:40]!r}", rule="cli.domain", action=f"use one of {', '.join(DOMAINS)}")
    if not _NAME.fullmatch(provider):
        raise ConfigError(f"{provider[:40]!r} cannot name a source", rule="cli.source_name",
                          action="use lower-case letters, digits and _")  # fmt: skip
    source = root / "include" / "sources" / domain / f"{provider}.py"
    cases = root / "tests" / "sources" / "cases" / provider
    if provider in taken or source.exists() or cases.exists():
        raise ConfigError(f"{provider} exists", rule="cli.source_name", action="choose another name, or edit its file")
    if not source.parent.is_dir() or not cases.parent.is_dir():
        raise ConfigError("this is no checkout of the warehouse", rule="cli.checkout", action="run it in a clone")
    cases.mkdir()
    words = {"provider": provider, "series": f"RATE.{provider.upper().replace('_', '')}.EXAMPLE"}
    made = [(source, "source.py.txt")] + [
        (cases / path.name, f"cases/{path.name}") for path in sorted((_HERE / "cases").iterdir())
    ]
    for path, template in made:
        text = (_HERE / template).read_text(encoding="utf-8")
        path.write_text(Template(text).substitute(words), encoding="utf-8")
    return [path for path, _ in made]
