"""What `capmig why` does with its arguments: one answer, printed, written as JSON, or bundled."""

from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from include.answers.reader import _json
from include.answers.why import Locate, rejected, show
from include.answers.why.answer import explain
from include.answers.why.figures import USAGE, Con, find
from include.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments of one call."""

    figure: list[str]
    key: list[str]
    column: str
    rejected: str
    fmt: str
    bundle: Path | None

    def check(self) -> None:
        """`ConfigError` for arguments that do not go together, before a warehouse is opened."""
        if self.fmt not in ("text", "json"):
            raise _wrong(f"no format {self.fmt[:20]!r}", "use text or json", "cli.format")
        if bool(self.figure) == bool(self.rejected):
            usage = ", ".join(f"{name} {args}" for name, args in USAGE.items())
            raise _wrong("say what to explain", f"give {usage}, TABLE --key COLUMN=VALUE,..., or --rejected ID")
        if self.rejected and (self.key or self.column or self.bundle):
            raise _wrong("--rejected stands alone", "leave out --key, --column and --bundle")
        if self.bundle:
            from include.answers.why.bundle import kind_of

            kind_of(self.bundle)


def _wrong(message: str, action: str, rule: str = "why.figure") -> ConfigError:
    return ConfigError(message, source="why", rule=rule, action=action)


def answer(con: Con, asked: Asked, locate: Locate, holds: list[dict], out: TextIO) -> None:
    """Answer on `out`; a bundle is written beside the answer and named by its sha256."""
    if asked.rejected:
        told, printer = rejected.explain(con, asked.rejected, locate, holds), show.show_refusal
    else:
        figure = find(con, asked.figure, asked.key, asked.column)
        told, printer = explain(con, figure, locate, holds), show.show
        if asked.bundle:
            from include.answers.why import bundle

            sha = bundle.write(con, figure, told, locate, asked.bundle)
            told |= {"bundle": {"file": str(asked.bundle), "sha256": sha}}
    if asked.fmt == "json":
        out.write(_json(told) + "\n")
        return
    printer(told, out)
    if "bundle" in told:
        out.write(f"\nBUNDLE {told['bundle']['file']}\n   sha256 {sha}; unpacked, `python verify.py` checks it\n")
