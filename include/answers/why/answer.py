"""Why a figure is what it is, as one dict: exact values, ready to be printed, written as JSON, or bundled."""

from collections.abc import Iterable
from decimal import Decimal

from include.answers.why import Locate
from include.answers.why.figures import CURRENT, Con, Figure, fetch, literal, one_of

_VERSION = """series_id, event_date, event_at, source_id, feed, value, unit, obs_status, value_raw, version_no,
    revision_kind, vintage_kind, published_at, known_from, known_to, payload_sha256, locator, parser_version"""
_ORDER = "order by series_id, event_date, event_at, source_id, version_no"
_CELL = ("series_id", "event_date", "event_at")


def explain(con: Con, figure: Figure, locate: Locate, holds: Iterable[dict]) -> dict:
    """Everything that stands behind a figure. `holds` are the hold table's rows, with whatever columns it has."""
    row = figure.row
    known = fetch(con, "select max(as_of) as at from marts.mart_daily_brief")[0]["at"]
    inputs = [*_versions(con, figure.inputs), *_rows(con, figure)]
    for version in inputs:
        _place(con, version, locate)
    made = fetch(con, figure.query)
    return {
        "figure": figure.name,
        "table": f"{figure.schema}.{figure.table}",
        "where": figure.where,
        "column": figure.column,
        "value": row[figure.column],
        "status": row.get("obs_status"),
        "grade": row.get("grade"),
        "known_from": row.get("scores_known_from" if figure.window else "known_from") or row.get("known_from"),
        "as_known_at": known,
        "notes": figure.notes,
        "row": row,
        "why_this_grade": _grade(con, row),
        "formula": _formula(con, figure, inputs),
        "inputs": inputs,
        "window": _window(con, figure),
        "beside": _beside(con, figure, inputs),
        "earlier": _earlier(con, figure, inputs),
        "holds": _holds(con, figure, holds, known),
        "query": figure.query,
        "result": made[0] if len(made) == 1 else None,
        "is_made_again": not figure.is_own_proof,
        "result_equals_row": len(made) == 1 and all(row[n] == value for n, value in made[0].items()),
    }


def _versions(con: Con, condition: str) -> list[dict]:
    if not condition:
        return []
    return fetch(con, f"select {_VERSION} from marts.fct_observation where {condition} {_ORDER}")


def _rows(con: Con, figure: Figure) -> list[dict]:
    """Rows that the figure needs beside versions of series: what they say of themselves."""
    out = []
    for table, where in figure.rows:
        for row in fetch(con, f"select * from marts.{table} where {where}"):
            subject = next(iter(row.values()))
            out.append({"series_id": f"{table} {subject}", "value": row.get("rate_after_pct"), **{
                n: row[n] for n in ("source_id", "vintage_kind", "known_from", "payload_sha256", "locator", "cited_url",
                                    "obs_status", "value_raw", "known_to") if n in row}})  # fmt: skip
    return out


def _place(con: Con, version: dict, locate: Locate) -> None:
    """Say where the payload's bytes are; rows of events do not carry their feed, the record of attempts does."""
    sha = version["payload_sha256"]
    if "feed" not in version:
        found = fetch(con, f"select feed from ops.fct_fetch_outcome where payload_sha256 = {literal(sha)} "
                           f"and source_id = {literal(version['source_id'])} limit 1")  # fmt: skip
        version["feed"] = found[0]["feed"] if found else ""
    landed = locate(version["source_id"], version["feed"], sha)
    version["path"] = landed.path if landed else None
    version["n_bytes"] = landed.n_bytes if landed else None


def _grade(con: Con, row: dict) -> list[str]:
    """The grade in words, from the counts that stand beside it."""
    grade, source = row.get("grade"), row.get("source_id")
    if not grade:
        return ["this table has no grade of its own" if "grade" not in row else "no figure, so no grade"]
    kind = row.get("evidence_kind") or next(
        (r["evidence_kind"] for r in fetch(con, f"select evidence_kind from marts.dim_source "
                                                f"where source_id = {literal(source)}")), "")  # fmt: skip
    lineages, measurements = row.get("n_lineages") or 0, row.get("n_measurements") or 0
    reason = {
        "A": "the origin's own figure" if measurements < 2 else "measurements that are independent agree",
        "B": "several lineages carry one measurement, and they agree",
        "C": "one lineage stands behind it",
        "D": "nothing but a report or a proxy stands behind it",
        "X": "lineages differ beyond the tolerance",
    }[grade]
    if grade == "C" and lineages > 1 or grade == "B" and lineages < 2:
        reason = "a step down: the worst of its inputs, or older than the newest reading that is due"
    said = [f"{grade}: {reason}" + (f"; {source} is {_a(kind)}" if source and kind else "")]
    counts = [_count(row.get(f"n_{what}s"), what) for what in ("publisher", "lineage", "measurement")]
    said.append(", ".join(c for c in counts if c))
    if status := row.get("agreement_status"):
        spread = row.get("spread_rel")
        said.append(status.replace("_", " ") + (f", {_percent(spread)} apart" if lineages > 1 and spread else ""))
    if "us_source_id" in row:
        said.append(f"the worse of two legs: {row['us_source_id']} for the US, {row['jp_source_id']} for Japan")
    return [s for s in said if s]


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _count(n: int | None, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}" if n is not None else ""


def _percent(share: Decimal) -> str:
    return f"{(share * 100).normalize():f} %"


def _formula(con: Con, figure: Figure, inputs: list[dict]) -> dict:
    """What the column means, from the file's own comments, and what its series measure."""
    comment = fetch(con, f"""select comment from duckdb_columns() where schema_name = {literal(figure.schema)}
        and table_name = {literal(figure.table)} and column_name = {literal(figure.column)}""")  # fmt: skip
    cards = fetch(con, "select distinct family, card, unit, tolerance_abs, tolerance_rel from marts.dim_series where "
                       f"series_id {one_of(sorted({v['series_id'] for v in inputs}))} order by all")  # fmt: skip
    return {"column": " ".join((comment[0]["comment"] or "").split()) if comment else "", "series": cards}


def _window(con: Con, figure: Figure) -> dict | None:
    """The published rows that a score looks back over, newest first."""
    if not figure.window:
        return None
    words, table, where = figure.window
    columns = {
        "fct_etf_flow_agg_daily": "session_date, net_flow_usd, obs_status, grade, known_from",
        "fct_rate_differential_daily": "event_date, diff_bp, change_bp, grade, known_from",
        "fct_policy_vote": "member_id, official_name, vote, preferred_rate_pct, known_from",
    }[table]
    rows = fetch(con, f"select {columns} from marts.{table} where {where} order by 1 desc")
    final = sum(r["obs_status"] == "final" for r in rows) if "obs_status" in columns else None
    return {"what": words, "n": len(rows), "n_final": final, "rows": rows}


def _beside(con: Con, figure: Figure, inputs: list[dict]) -> list[dict]:
    """What other sources say of the same cells, and the printed total beside our sum, each with its difference."""
    if not figure.cells:
        return []
    ours = {tuple(v.get(n) for n in _CELL): v["value"] for v in inputs}
    mine = {(*(v.get(n) for n in _CELL), v["source_id"]) for v in inputs}
    out = []
    for other in _versions(con, f"({figure.cells}) and {CURRENT}"):
        cell = tuple(other[n] for n in _CELL)
        if (*cell, other["source_id"]) in mine:
            continue
        told = ours.get(cell, figure.row.get("net_flow_usd") if other["series_id"].endswith(".TOTAL") else None)
        difference = other["value"] - told if told is not None and other["value"] is not None else None
        out.append({n: other[n] for n in ("series_id", "event_date", "source_id", "value", "obs_status", "known_from")}
                   | {"difference": difference})  # fmt: skip
    return out


def _earlier(con: Con, figure: Figure, inputs: list[dict]) -> list[dict]:
    """What the same sources said of the same cells before."""
    if not figure.cells:
        return []
    now = {(*(v.get(n) for n in _CELL), v["source_id"]): v.get("version_no") for v in inputs}
    return [
        {n: v[n] for n in ("series_id", "event_date", "source_id", "version_no", "value", "obs_status", "revision_kind",
                           "known_from", "known_to", "payload_sha256", "locator")}
        for v in _versions(con, f"({figure.cells}) and obs_status != 'held'")
        if (key := (*(v[n] for n in _CELL), v["source_id"])) in now and now[key] != v["version_no"]
    ]  # fmt: skip


def _hold_at(hold: dict, known: object) -> dict:
    """A hold as it stood at the cut-off: a later release is none yet."""
    if hold["released_at"] and hold["released_at"] > known:
        return hold | {"released_at": None, "released_why": None}
    return hold


def _holds(con: Con, figure: Figure, holds: Iterable[dict], known: object) -> list[dict]:
    """What the gate withheld of these cells, and what it noted of them in the newest run."""
    if not figure.cells:
        return []
    cells = fetch(con, f"select distinct series_id, event_date, source_id, feed from marts.fct_observation "
                       f"where {figure.cells} order by all")  # fmt: skip
    keys = {(c["series_id"], c["event_date"]) for c in cells}
    out = [{"what": "hold", **_hold_at(h, known)} for h in holds
           if (h.get("series_id"), h.get("event_date")) in keys and h["held_at"] <= known]  # fmt: skip
    out += [{"what": "withheld version", **{n: v[n] for n in ("series_id", "event_date", "source_id", "value_raw",
                                                              "known_from", "known_to", "locator")}}
            for v in _versions(con, f"({figure.cells}) and obs_status = 'held'")]  # fmt: skip
    subjects = {f"{c['source_id']}/{c['feed']}" for c in cells} | {figure.row.get("asset")}
    days = {str(c["event_date"]) for c in cells}
    found = fetch(con, f"""select rule_id, check_name, subject, outcome, evidence from ops.fct_gate_result
        where outcome != 'pass' and subject {one_of(sorted(filter(None, subjects)))} and run_id =
        (select run_id from ops.fct_publication order by seq desc limit 1) order by all""")  # fmt: skip
    return out + [{"what": "gate", **g} for g in found if any(day in (g["evidence"] or "") for day in days)]
