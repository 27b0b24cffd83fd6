"""The first screen: the rows of `marts.mart_daily_brief`, a headline a line. Formats, never computes."""

from datetime import datetime
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text

from include.answers.reader import connect, query

SECTIONS = {"late": "LATE", "held": "HELD", "gap": "MISSING", "due": "DUE NEXT"}
_STYLE = {"A": "bold green", "B": "green", "C": "yellow", "D": "red", "X": "bold red"}


def rows(warehouse: Path) -> list[dict]:
    """The brief's rows in reading order."""
    with connect(warehouse) as con:
        cursor = query(con, "select * from marts.mart_daily_brief order by headline_no")
        names = [c[0] for c in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def show(warehouse: Path, out: TextIO) -> None:
    """Print the brief: value · unusual · who says it · grade and status, then reading, late, held, missing, due."""
    brief = rows(warehouse)
    console = Console(file=out, highlight=False, soft_wrap=False, width=None if out.isatty() else 150)
    as_of = brief[0]["as_of"] if brief else None
    console.print(Text(f"Capital migration, as known at {_instant(as_of)}", style="bold"))
    for row in (r for r in brief if r["section"] == "headline"):
        grade = row["grade"] or "-"
        console.print()
        console.print(
            Text.assemble(
                (f"{row['headline']}: ", "bold"),
                (row["value_text"] or "no figure", "bold cyan"),
                (f"  [{grade}] ", _STYLE.get(grade, "dim")),
                (row["status"] or "", "dim"),
            )
        )
        facts = [f for f in (row["unusual"], row["who_says_it"], _standing(row)) if f]
        if facts:
            console.print(Text("   " + " · ".join(facts)))
        for label, name in (("reading", "reading"), ("would change it", "would_change_it")):
            if row[name]:
                console.print(Text(f"   {label}: {row[name]}", style="dim"))
    for section, title in SECTIONS.items():
        lines = [r for r in brief if r["section"] == section]
        if lines:
            console.print(Text(f"\n{title}", style="bold"))
        for row in lines:
            told = (row["value_text"], row["reading"], row["would_change_it"], row["due_next"])
            said = " · ".join(t for t in told if t)
            console.print(Text(f"   {row['headline']}" + (f": {said}" if said else "")))


def _standing(row: dict) -> str:
    """How many independent measurements stand behind the figure, and how many lineages carry them."""
    if not row["n_measurements"]:
        return ""
    counts = ((row["n_measurements"], "measurement"), (row["n_lineages"], "lineage"))
    return ", ".join(f"{n} {what}{'' if n == 1 else 's'}" for n, what in counts)


def _instant(value: datetime | None) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%SZ") if value else "an unknown instant"
