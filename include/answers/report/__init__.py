"""The report page: one HTML file that needs nothing else. Selects and formats what `marts` and `ops` hold.

Equal warehouses give equal bytes: the page's age is computed in the browser, from its cut-off.
"""

import hashlib
import json
import re
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from include.answers.reader import connect, query
from include.answers.report import queries
from include.core import disk
from include.core.clock import iso

HERE = Path(__file__).parent
NEWEST = 15  # rows shown of a long answer; the query gives all
COUNTED = "Measurements / lineages / publishers"
_MILLION = Decimal(1_000_000)
_OTHER = re.compile(r"(\w+) (-?\d+(?:\.\d+)?)")  # `sosovalue -32110000, ...`
_LEAD = re.compile(r"(.*?)((?: from | \(|, ).*)?", re.S)


@dataclass(frozen=True)
class Figure:
    """A question, its answer and how to draw it. `data`: chart data by name."""

    name: str
    title: str
    sql: str
    rows: list[dict]
    spec: dict | None = None
    data: dict[str, list[dict]] = field(default_factory=dict)
    label: str = ""  # what a chart shows, for who cannot see it

    def filled(self, columns: tuple[tuple[str, str, str], ...]) -> list[tuple[str, str, str]]:
        """The columns that say something in some row. A chart's script may fill more, so its figure keeps all."""
        return [c for c in columns if self.spec or c[2] in _OF_ROW or any(r[c[0]] is not None for r in self.rows)]


def page(warehouse: Path, *, cache: Path) -> bytes:
    """The report of a published warehouse as UTF-8 HTML. The chart runtime is kept in `cache` by its version.

    Raises `CapmigError` if there is no warehouse, `IntegrityError` if it cannot be read.
    """
    with connect(warehouse) as con:
        report = _Report(con)
        figures = [*report.flows, *report.first_prints, report.rates, report.coverage]
        script = (HERE / "script.js").read_text(encoding="utf-8")
        style = (HERE / "style.css").read_text(encoding="utf-8")
        runtime = _runtime(cache)
        drawn = {f.name: {"spec": f.spec, "data": f.data} for f in figures if f.spec}
        html = _template().render(
            r=report, style=style, script=script, runtime=runtime, columns=COLUMNS, newest=NEWEST,
            script_src=f"'{_csp_hash(script)}' '{_csp_hash(runtime)}'", style_src=f"'{_csp_hash(style)}'",
            charts=_json(drawn), vintages=_json(report.vintages),
        )  # fmt: skip
    return html.encode()


class _Report:
    """What the template shows, each part one query."""

    def __init__(self, con: duckdb.DuckDBPyConnection):
        self.con = con
        self.changes = self._figure("changes", "Changelog of publishes", queries.CHANGES)
        self.version = self.changes.rows[0]

    def ask(self, sql: str) -> list[dict]:
        cursor = query(self.con, sql)
        names = [c[0] for c in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _figure(self, name: str, title: str, sql: str, **more: Any) -> Figure:
        return Figure(name, title, sql, self.ask(sql), **more)

    @cached_property
    def headlines(self) -> list[Figure]:
        numbers = [row["headline_no"] for row in self.ask(queries.HEADLINES)]
        made = (self._figure(f"headline-{n}", "", queries.HEADLINE.format(no=n)) for n in numbers)
        return [Figure(f.name, f.rows[0]["headline"], f.sql, f.rows) for f in made]

    @cached_property
    def open(self) -> Figure:
        return self._figure("open", "Late, held, missing and due next", queries.OPEN)

    @cached_property
    def steps(self) -> list[dict]:
        """The slider's stops: every instant at which a figure changed, the decisions between, and the cut-off."""
        return self.ask(queries.INSTANTS)

    @cached_property
    def known(self) -> list[dict]:
        """Each session's total at each stop, oldest stop first within a session."""
        return self.ask(queries.KNOWN_AT.format(instants=", ".join(_sql_instant(s["as_known_at"]) for s in self.steps)))

    @cached_property
    def flows(self) -> list[Figure]:
        """One figure an asset, as known at the cut-off; its data hold every version by stop."""
        return [self._flow(asset) for asset in dict.fromkeys(row["asset"] for row in self.known)]

    def _flow(self, asset: str) -> Figure:
        from include.answers.report import charts

        spans = _spans([r for r in self.known if r["asset"] == asset], [s["as_known_at"] for s in self.steps])
        last = [s["row"] for s in spans if s["to_no"] == len(self.steps)]
        data = [{
            "session": exact(s["row"]["session_date"]), "from_no": s["from_no"], "to_no": s["to_no"],
            "m": _pixels(s["row"]["net_flow_usd"]), "text": millions(s["row"]["net_flow_usd"]) or None,
            "way": _way(s["row"]["net_flow_usd"]), "status": s["row"]["obs_status"],
            "funds": _funds(s["row"]), "known": moment(s["row"]["known_from"]), "vintage": s["row"]["vintage_kind"],
        } for s in spans]  # fmt: skip
        today = [{"session": exact(r["session_date"]), "m": _pixels(r["net_flow_usd"])} for r in last]
        return Figure(f"flow-{asset}", f"{asset} spot ETFs", self.known_sql, last, 
                      spec=charts.flows(len(self.steps) - 1, [r["m"] for r in data if r["m"] is not None]),
                      data={"rows": data, "today": today, "zero": [{"m": 0}]},
                      label=f"{asset} spot ETF net flow by session, as known at the chosen instant")  # fmt: skip

    @property
    def known_sql(self) -> str:
        return queries.KNOWN_AT.format(instants=_sql_instant(self.steps[-1]["as_known_at"]))

    @cached_property
    def vintages(self) -> dict:
        """What the slider needs beside the chart data: its stops, and the query with a place for the instant."""
        stops = [{"sql": _sql_instant(s["as_known_at"]), "text": moment(s["as_known_at"]),
                  "decisions": s["decisions"] or ""} for s in self.steps]  # fmt: skip
        return {"stops": stops, "query": queries.KNOWN_AT.format(instants="{instants}")}

    @cached_property
    def first_prints(self) -> list[Figure]:
        from include.answers.report import charts

        answer = self._figure("first", "", queries.FIRST_PRINT)
        return [
            Figure(
                f"first-{asset}", f"{asset} spot ETFs: first print against newest", answer.sql,
                [r for r in answer.rows if r["asset"] == asset], charts.first_print(),
                {"rows": [{
                    "session": exact(r["session_date"]), "first_m": _pixels(r["first_usd"]),
                    "newest_m": _pixels(r["newest_usd"]), "first": millions(r["first_usd"]),
                    "newest": millions(r["newest_usd"]), "way": _way(r["newest_usd"]),
                } for r in answer.rows if r["asset"] == asset]},
                f"First printed total of each {asset} session beside the newest",
            )
            for asset in dict.fromkeys(row["asset"] for row in answer.rows)
        ]  # fmt: skip

    @cached_property
    def profile(self) -> Figure:
        return self._figure("profile", "How wrong a total is, by hours since the close", queries.PROFILE)

    @cached_property
    def rates(self) -> Figure:
        from include.answers.report import charts

        answer = self._figure("rates", "Rate differential and carry, US minus Japan", queries.RATES)
        drawn = [{"day": exact(r["event_date"]), "date": exact(r["event_date"]), "tenor": r["tenor"],
                  "bp": float(r["diff_bp"]), "text": exact(r["diff_bp"])} for r in answer.rows[::-1]]  # fmt: skip
        return Figure(answer.name, answer.title, answer.sql, answer.rows, charts.rates(),
                      {"rows": drawn}, "Policy rate, 2-year and 10-year differences over time")  # fmt: skip

    @cached_property
    def moves(self) -> list[Figure]:
        return [self._figure("migration", "Migration index and label", queries.MIGRATION),
                self._figure("channels", "Flow by channel", queries.CHANNELS)]  # fmt: skip

    @cached_property
    def events(self) -> list[Figure]:
        return [self._figure("incidents", "Security incidents", queries.INCIDENTS),
                self._figure("rules", "Filings on position limits of options", queries.RULES),
                self._figure("documents", "Newest documents; a report is the press's, for discovery",
                             queries.DOCUMENTS)]  # fmt: skip

    @cached_property
    def coverage(self) -> Figure:
        from include.answers.report import charts

        answer = self._figure("coverage", "Coverage calendar", queries.COVERAGE)
        drawn = [{"series": r["series_id"], "source": r["source_id"], "day": exact(r["event_date"]),
                  "state": r["state"], "reason": r["state_reason"] or ""}
                 for r in self.ask(queries.COVERAGE_DAYS)]  # fmt: skip
        return Figure(answer.name, answer.title, answer.sql, answer.rows,
                      charts.coverage(len({r["series"] for r in drawn})), {"rows": drawn},
                      "What landed, was late, held or missing, by series and day")  # fmt: skip

    @cached_property
    def gate_counts(self) -> Figure:
        return self._figure("gate-counts", "Gate results of this version", queries.GATE_COUNTS)

    @cached_property
    def gate(self) -> Figure:
        return self._figure("gate", "What did not simply pass", queries.GATE)

    @property
    def n_not_passed(self) -> int:
        return sum(row["outcome"] != "pass" for row in self.gate.rows)

    @cached_property
    def sources(self) -> Figure:
        return self._figure("sources", "Sources and terms", queries.SOURCES)


_STANDS = (("grade", "Grade", "grade"), ("who", "Who says it", "who"), ("counts", COUNTED, "counts"))
COLUMNS = {
    "flow": (("session_date", "Session", "day"), ("net_flow_usd", "m USD", "usd"), ("obs_status", "Status", "status"),
             ("n_funds_reported", "Funds", "funds"), ("known_from", "Known since (UTC)", "instant"),
             ("grade_today", "Grade, cut-off", "grade"), *_STANDS[1:],
             ("agreement_status", "Agreement, cut-off", "status"),
             ("others", "Beside it at the cut-off, m USD", "others")),
    "first": (("session_date", "Session", "day"), ("first_usd", "First print, m USD", "usd"),
              ("hours_to_first", "hours after close", "num"), ("newest_usd", "Newest, m USD", "usd"),
              ("hours_to_newest", "hours after close", "num"), ("change_usd", "Change, m USD", "usd"),
              ("n_changes", "Changes", "num"), ("sign_flip", "Sign flipped", "flip"), *_STANDS),
    "profile": (("asset", "Asset", "text"), ("source_id", "Who says it", "text"),
                ("hours_since_close", "Hours since close", "num"), ("n_known", "Sessions with a total", "num"),
                ("n_sessions", "of", "num"), ("final_share", "Final", "pct"),
                ("median_abs_error_usd", "Median error, m USD", "usd"), ("wrong_sign_share", "Wrong sign", "pct"),
                ("known_from", "Known since (UTC)", "instant")),
    "rates": (("event_date", "Date", "day"), ("tenor", "Tenor", "text"), ("us_pct", "US, %", "num"),
              ("jp_pct", "Japan, %", "num"), ("diff_bp", "Difference, bp", "num"), ("change_bp", "Change, bp", "num"),
              *_STANDS, ("known_from", "Known since (UTC)", "instant")),
    "migration": (("session_date", "Session", "day"), ("label", "Label", "status"),
                  ("migration_index_ewma", "Smoothed index", "score"), ("migration_index", "Index", "score"),
                  ("flow_k_5d_usd", "Compliant, 5 sessions, m USD", "usd"),
                  ("flow_o_5d_usd", "On-chain, 5 sessions, m USD", "usd"), ("top_contributors", "Contributors", "line"),
                  ("grade", "Grade", "grade"),
                  ("known_from", "Known since (UTC)", "instant")),
    "channels": (("session_date", "Session", "day"), ("channel", "Channel", "text"), ("flow_usd", "m USD", "usd"),
                 ("obs_status", "Status", "status"), ("cum5_usd", "5 sessions, m USD", "usd"),
                 ("share_of_gross", "Share of 20 sessions", "pct"), ("score", "Score", "score"),
                 ("score_reason", "No score", "status"), ("grade", "Grade", "grade"),
                 ("input_source_ids", "Who says it", "text"), ("known_from", "Known since (UTC)", "instant")),
    "incidents": (("event_date", "Date", "day"), ("incident_name", "Incident", "text"),
                  ("loss_usd", "Loss, m USD", "usd"), ("stolen_native", "Taken", "num"),
                  ("returned_native", "Returned", "num"),
                  ("outstanding_native", "Open", "num"), ("native_asset", "of", "text"),
                  ("recovery_ratio_native", "Recovered", "pct"), ("evidence_status", "Evidence", "status"),
                  *_STANDS[:2], ("known_from", "Known since (UTC)", "instant"),
                  ("told_otherwise", "Told otherwise", "long"), ("dates_told", "Days told", "long")),
    "rules": (("event_date", "Date", "day"), ("rule_id", "Filing", "text"), ("rule_status", "State", "status"),
              ("filed_on", "Filed", "day"), ("effective_on", "In force", "day"),
              ("limit_value", "Limit, contracts", "num"), ("limit_change", "What of it", "text"),
              ("limit_status", "Clearing house", "status"), ("agreement_status", "Agreement", "status"), *_STANDS[:2],
              ("known_from", "Known since (UTC)", "instant"), ("contract", "Options on", "long"),
              ("needs_primary", "Notice wanted", "flip")),
    "documents": (("event_at", "Since (UTC)", "instant"), ("document_kind", "Kind", "status"),
                  ("title", "Title", "long"), ("url", "At", "page"), ("subjects", "On", "text"),
                  ("source_id", "Listed by", "text"), ("grade", "Grade", "grade"),
                  ("known_from", "Known since (UTC)", "instant")),
    "coverage": (("series_id", "Series", "day"), ("source_id", "Source", "text"), ("landed", "Landed", "num"),
                 ("late", "Late", "num"), ("held", "Held", "num"), ("gap", "Gap", "num"),
                 ("not_due", "Not due", "num"), ("newest_landed", "Newest", "day"), ("reason", "Why", "long")),
    "open": (("section", "State", "status"), ("headline", "What", "day"), ("value_text", "Amount", "text"),
             ("reading", "Why", "long"), ("who_says_it", "Source", "text"), ("due_next", "Due", "day"),
             ("would_change_it", "To do", "long")),
    "gate_counts": (("outcome", "Outcome", "status"), ("checks", "Checks", "num"), ("evaluated", "Evaluated", "num"),
                    ("failed", "Failed", "num")),
    "gate": (("outcome", "Outcome", "status"), ("rule_id", "Rule", "text"), ("check_name", "Check", "name"),
             ("subject", "Subject", "text"), ("n_failed", "Failed", "num"), ("n_evaluated", "Of", "num"),
             ("evidence", "Evidence", "long"), ("owner", "Who looks", "text")),
    "changes": (("seq", "Version", "num"), ("published_at", "Published (UTC)", "instant"),
                ("cutoff_at", "As known at (UTC)", "instant"), ("newest_known_from", "Newest input (UTC)", "instant"),
                ("marts", "Figures", "text"), ("new_code", "New code", "flip"), ("n_labels", "Labels", "num"),
                ("n_holds", "Held", "num"), ("marts_hash", "Marts hash", "code"), ("code", "Code hash", "code")),
    "sources": (("source_id", "Source", "text"), ("title", "What", "long"), ("evidence_kind", "Kind", "text"),
                ("lineage_root", "Lineage", "text"), ("verified", "Contract", "text"), ("licence", "Terms", "long"),
                ("credit", "Credit", "text")),
}  # fmt: skip


def exact(value: Any) -> str:
    """A value as `capmig sql` writes it in CSV: decimals in full without trailing zeros, instants with `Z`."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)


def millions(value: Decimal | None) -> str:
    """Dollars as millions, exact, one decimal at least, with a true minus: `−32.2`. Empty where there is none."""
    if value is None:
        return ""
    text = exact(value / _MILLION)
    return (text if "." in text else f"{text}.0").replace("-", "\N{MINUS SIGN}")


def minus(text: str) -> str:
    """A text of the brief with true minus signs before its figures."""
    return re.sub(r"(?<![\w-])-(?=\d)", "\N{MINUS SIGN}", text)


def moment(value: datetime | None) -> str:
    """An instant to the second, for the eye: `2026-01-23 03:07:00`."""
    return value.strftime("%Y-%m-%d %H:%M:%S") if value else ""


def show(row: dict, column: str, kind: str) -> str:
    """One cell as text for the eye; nothing where there is nothing."""
    if kind in _OF_ROW:
        return _OF_ROW[kind](row)
    value = row[column]
    if value is None:
        return ""
    text = _SHOWN.get(kind, exact)(value)
    if column == "known_from" and row.get("vintage_kind") == "pseudo":
        text += " assumed"
    return minus(text) if kind in ("num", "score", "line", "long") else text


def standing(row: dict) -> str:
    """Who says a figure, and how many measurements, lineages and publishers stand behind it."""
    counts = ((row[f"n_{what}s"], what) for what in ("measurement", "lineage", "publisher"))
    said = [row["who_says_it"]] + [f"{n} {what}{'' if n == 1 else 's'}" for n, what in counts if n]
    return " · ".join(s for s in said if s)


def lead(text: str | None) -> tuple[str, str]:
    """A headline's figure with its unit, and the rest of its text: `−509.7 m USD`, `from 11 of 11 funds`."""
    if not text:
        return "no figure", ""
    head, rest = _LEAD.fullmatch(minus(text)).groups()
    return head, (rest or "").strip(" ,")


def _who(row: dict) -> str:
    said = (row.get(k) for k in ("source_id", "us_source_id", "jp_source_id"))
    return " and ".join(dict.fromkeys(s for s in said if s))


def _counts(row: dict) -> str:
    said = [row[f"n_{what}s"] for what in ("measurement", "lineage", "publisher")]
    return " / ".join(map(str, said)) if None not in said else ""


def _percent(value: Decimal) -> str:
    return f"{exact(round(value * 100, 1))} %"


def _others(value: str) -> str:
    return "; ".join(f"{who} {millions(Decimal(usd))}" for who, usd in _OTHER.findall(value))


def _funds(row: dict) -> str:
    if row["obs_status"] == "not_yet":
        return ""
    return f"{row['n_funds_reported']} of {row['n_funds_listed']}"


def _way(value: Decimal | None) -> str:
    return "out" if value is not None and value < 0 else "in"


def _pixels(value: Decimal | None) -> float | None:
    return None if value is None else float(value / _MILLION)


def _sql_instant(value: datetime) -> str:
    return f"timestamptz '{iso(value)}'"


def _spans(known: list[dict], stops: list[datetime]) -> list[dict]:
    """Runs of stops over which a session's figure stays the same: `[from_no, to_no)` and its row."""
    number = {stop: n for n, stop in enumerate(stops)}
    spans: list[dict] = []
    for row in known:
        n = number[row["as_known_at"]]
        said = [row[k] for k in ("session_date", "net_flow_usd", "obs_status", "n_funds_reported", "known_from")]
        if spans and spans[-1]["said"] == said:
            spans[-1]["to_no"] = n + 1
        else:
            spans.append({"said": said, "from_no": n, "to_no": n + 1, "row": row})
    return spans


_OF_ROW = {"who": _who, "counts": _counts, "funds": _funds}
_SHOWN = {
    "usd": millions, "instant": moment, "pct": _percent, "others": _others, "score": "{:.2f}".format,
    "flip": lambda v: "yes" if v else "",
    "name": lambda v: exact(v).replace("_", " "), "status": lambda v: exact(v).replace("_", " "),
}  # fmt: skip


def _json(value: Any) -> str:
    """JSON that may stand inside a script element: no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _csp_hash(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _runtime(cache: Path) -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; bundling takes seconds, so it is kept by the bundler's version."""
    import vl_convert

    kept = cache / f"vega-{vl_convert.__version__}.js"
    if not kept.exists():
        script = f"(()=>{{{vl_convert.javascript_bundle()}\n}})()"
        if "</script" in script.lower() or "<!--" in script:
            raise ValueError("the chart runtime cannot stand inside a script element")
        disk.make_dir(cache)
        disk.write_new(kept, script.encode())
    return kept.read_text(encoding="utf-8")


def _template():
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    env = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                      lstrip_blocks=True)  # fmt: skip
    env.filters |= {"exact": exact, "moment": moment, "minus": minus}
    env.globals |= {"show": show, "standing": standing, "lead": lead, "millions": millions, "percent": _percent}
    return env.get_template("template.html.j2")
