"""An answer as text for a terminal: the row, its grade, the formula, what lies beneath. Formats, never computes."""

from typing import TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from include.answers.brief import _STYLE
from include.answers.reader import _json, _printable

_INPUT = ("series_id", "event_date", "source_id", "value", "value_raw", "obs_status", "vintage_kind", "known_from",
          "known_to", "locator", "payload")  # fmt: skip
_FOLD = 14  # rows of a window that are shown; JSON has them all
_WIDTH = 170
_INDENT = 3


def cell(value: object) -> str:
    """A value for a reader: exact, without control characters, seconds where an instant has no fraction."""
    if value is None:
        return ""
    return _printable(value if isinstance(value, str) else _json(value).strip('"'))


class Page:
    """A calm page: headings in bold, facts indented, no colour where the output is not a terminal."""

    def __init__(self, out: TextIO):
        self.console = Console(file=out, highlight=False, width=None if out.isatty() else _WIDTH)

    def say(self, text: str, style: str = "", indent: int = 0) -> None:
        self.console.print(Padding(Text(_printable(text), style=style), (0, 0, 0, indent), expand=False))

    def title(self, text: str) -> None:
        self.console.print(Text(f"\n{text}", style="bold"))

    def facts(self, facts: dict) -> None:
        """One fact a line, absent ones left out."""
        width = max((len(n) for n in facts), default=0)
        for name, value in facts.items():
            if value is not None and value != "":
                self.say(f"{name:<{width}}  {cell(value)}", indent=_INDENT)

    def rows(self, rows: list[dict], names: tuple[str, ...] = ()) -> None:
        """Rows as columns; a column in which nothing stands is left out."""
        names = [n for n in names or dict.fromkeys(n for r in rows for n in r) if any(cell(r.get(n)) for r in rows)]
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for n in names:
            number = all(not isinstance(r.get(n), str) for r in rows)
            table.add_column(n, justify="right" if number else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell(row.get(n))) for n in names))
        self.console.print(Padding(table, (0, 0, 0, _INDENT)))

    def verbatim(self, text: str) -> None:
        """Text that a reader copies: its own lines, never wrapped."""
        for line in text.split("\n"):
            self.console.print(Text(_printable(line)), soft_wrap=True)


def show(answer: dict, out: TextIO) -> None:
    """Print an answer of `answer.explain`."""
    page = Page(out)
    grade = answer["grade"] or "-"
    page.console.print(
        Text.assemble(
            (f"{answer['figure']}  ", "bold"),
            (f"{answer['column']} = {cell(answer['value']) or 'no figure'}", "bold cyan"),
            (f"  [{grade}] ", _STYLE.get(grade, "dim")),
            (cell(answer["status"]), "dim"),
        )
    )
    page.say(f"as known at {cell(answer['as_known_at'])}; known from {cell(answer['known_from']) or 'nothing'}; "
             f"{answer['table']}", "dim")  # fmt: skip
    for line in (*answer["why_this_grade"], *answer["notes"]):
        page.say(line, indent=_INDENT)
    page.title("THE ROW")
    page.say(" · ".join(f"{n} {cell(v)}" for n, v in answer["row"].items() if v is not None), indent=_INDENT)
    page.title("WHAT IT MEANS")
    page.say(answer["formula"]["column"], indent=_INDENT)
    for card in answer["formula"]["series"]:
        page.say(f"{card['family']}: {card['card']} ({card['unit']})", "dim", _INDENT)
    _inputs(page, answer["inputs"])
    _window(page, answer["window"])
    for title, name in (("BESIDE IT", "beside"), ("KNOWN BEFORE", "earlier")):
        if answer[name]:
            page.title(title)
            page.rows([{n: v for n, v in r.items() if n != "payload_sha256"} for r in answer[name]])
    for hold in answer["holds"]:
        page.title(f"{hold['what'].upper()}")
        page.facts({n: v for n, v in hold.items() if n != "what"})
    page.title("THE QUERY")
    page.verbatim(answer["query"])
    told = ", ".join(f"{n} {cell(v) or 'NULL'}" for n, v in (answer["result"] or {}).items())
    if not answer["result_equals_row"]:
        page.say(f"= {told}: NOT the row: tell us, with a bundle", "bold red", _INDENT)
    elif answer["is_made_again"]:
        page.say(f"= {told}: equal to the row", "green", _INDENT)
    else:  # to read a cell and find it equal to itself proves nothing
        page.say(f"= {told}: the published cell as it stands, not made again from what is beneath it", "dim", _INDENT)


def _inputs(page: Page, inputs: list[dict]) -> None:
    if not inputs:
        return
    payloads = {i["payload_sha256"]: i for i in inputs}
    number = {sha: n for n, sha in enumerate(payloads, start=1)}
    page.title(f"INPUTS, {len(inputs)}")
    page.rows([i | {"payload": f"[{number[i['payload_sha256']]}]"} for i in inputs], _INPUT)
    page.title("PAYLOADS, named by their sha256, under WAREHOUSE_HOME")
    for sha, version in payloads.items():
        place = version["path"] or f"{version['source_id']} {sha}: not in this landing zone"
        size = f"  {version['n_bytes']} bytes" if version["n_bytes"] else ""
        page.verbatim(f"   [{number[sha]}] {place}{size}")


def _window(page: Page, window: dict | None) -> None:
    if not window:
        return
    rows = window["rows"]
    final = f", {window['n_final']} of them final" if window["n_final"] is not None else ""
    page.title(f"WINDOW: {window['what']}: {window['n']} rows{final}")
    shown = rows if len(rows) <= _FOLD + 1 else rows[:_FOLD]
    page.rows(shown)
    if len(shown) < len(rows):
        page.say(f"and {len(rows) - len(shown)} more; --format json lists all", "dim", _INDENT)


def show_refusal(told: dict, out: TextIO) -> None:
    """Print an answer of `rejected.explain`."""
    page = Page(out)
    page.console.print(Text(f"{told['id']}  {told['what']}", style="bold"))
    page.facts({n: v for n, v in told["why"].items()})
    for version in told["versions"]:
        page.title("WITHHELD")
        page.facts(version)
    page.title("THE BYTES")
    page.facts(told["bytes"] or {"path": "none are kept"})
    page.title("IN ITS PLACE")
    if told["in_its_place"]:
        page.rows(told["in_its_place"])
    else:
        page.say("nothing: the figure is absent", indent=_INDENT)
    if told["next"]:
        page.title("NEXT")
        page.say(told["next"], indent=_INDENT)
