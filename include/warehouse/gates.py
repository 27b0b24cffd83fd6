"""The gate between a build and its readers: Great Expectations over what DuckDB has cut to size. It fails closed.

label   shown beside the figure, never blocks
hold    the figure is withheld; the caller holds it, builds once more and checks again
refuse  nothing is published; the last good version stays
"""

import logging
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import duckdb
import pyarrow as pa

from include.core import duckfile
from include.warehouse import guard, holds, revisions
from include.warehouse.build import Build
from include.warehouse.suites import CUT, HOLDING, MARTS, PROFILES, Check, checks_of, profile_sql

EXAMPLES = 3
_FIGURE = tuple(name for name in holds.KEY if name != "rule_id")
# Tables that say what is due may look ahead.
_LOOKS_AHEAD = ("mart_daily_brief",)


@dataclass(frozen=True, slots=True)
class Report:
    """What the gate found. `results` are rows of `gate_result`; `new_holds` are figures for `holds.add`."""

    results: list[dict]
    new_holds: list[dict]
    evaluated: int
    refused: bool = field(init=False)
    n_labels: int = field(init=False)

    def __post_init__(self) -> None:
        counts = Counter(row["outcome"] for row in self.results)
        object.__setattr__(self, "refused", counts["refuse"] > 0)
        object.__setattr__(self, "n_labels", counts["label"])


def check(build: Build, *, holds_active: set[str]) -> Report:
    """Every rule over one candidate. What cannot be evaluated is refused.

    `holds_active` are the holds that stand now: a candidate built before one of them is refused.
    """
    try:
        frames, suspects, known = _measure(build)
    except (duckdb.Error, ArithmeticError) as error:
        return Report([_row(build, "G1.readable", "the_candidate_can_be_measured", "refuse", build.run_id,
                            f"cannot be measured: {duckfile.first_line(error)}", 1, 1)], [], 0)  # fmt: skip
    results, evaluated = _evaluate(build, frames)
    declared = sum(len(checks_of(suite)) for suite in (*PROFILES, *MARTS))
    if evaluated != declared or not declared:
        results.append(_row(build, "G1.evaluated", "every_declared_check_was_evaluated", "refuse", "gate",
                            f"{evaluated} of {declared} checks were evaluated", declared,
                            declared - evaluated))  # fmt: skip
    if unseen := holds_active - known:
        results.append(_row(build, "G5.applied", "every_hold_is_in_the_candidate", "refuse", "gate",
                            f"held after this build began: {', '.join(sorted(unseen)[:EXAMPLES])}", len(holds_active),
                            len(unseen)))  # fmt: skip
    return Report(sorted(results, key=_order), suspects, evaluated)


def as_table(report: Report) -> list[str]:
    """The report for a terminal: the counts, then a line for everything that did not pass."""
    counts = Counter(row["outcome"] for row in report.results)
    said = ", ".join(f"{counts[name]} {name}" for name in ("pass", "label", "hold", "refuse"))
    notable = [r for r in report.results if r["outcome"] != "pass"]
    return [f"{report.evaluated} expectations evaluated: {said}"] + [
        f"{r['outcome']:<6} {r['rule_id']:<17} {r['subject']}: {r['check_name']}: {r['evidence']}" for r in notable
    ]


# Measuring: DuckDB reads the candidate, and what leaves it is small.


def _measure(build: Build) -> tuple[dict[str, pa.Table], list[dict], set[str]]:
    """A frame per suite, the figures to hold, and the ids of the holds that the candidate was built with."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        duckfile.attach(con, build.scratch, "scratch")
        duckfile.attach(con, build.warehouse, "warehouse")
        held = _rows_of(con, f"select hold_id, released_at, {', '.join(_FIGURE)} from scratch.landing.hold")
        # a figure is held once: what a landing did as a whole goes first, and what a person released stays released
        judged = {_figure(row) for row in held if row["released_at"]}
        suspects = []
        for suspect in (*revisions.suspects(con), *guard.suspects(con)):
            if _figure(suspect) not in judged:
                judged.add(_figure(suspect))
                suspects.append(suspect)
        frames = {suite: con.execute(profile_sql(suite)).to_arrow_table() for suite in PROFILES if suite != "mart"}
        frames["observation"] = _with_suspects(frames["observation"], suspects)
        columns = _mart_columns(con)
        frames["mart"] = _mart_profile(con, columns)
        frames |= {name: _mart_rows(con, name, columns[name]) for name in MARTS if name in columns}
    return frames, suspects, {row["hold_id"] for row in held}


def _figure(row: dict) -> tuple:
    return tuple(row[name] for name in _FIGURE)


def _rows_of(con: duckdb.DuckDBPyConnection, sql: str) -> list[dict]:
    return con.execute(sql).to_arrow_table().to_pylist()


def _with_suspects(profile: pa.Table, suspects: list[dict]) -> pa.Table:
    """The profile of feeds with a count and examples for each rule that holds."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for s in suspects:
        subject = f"{s['source_id']}/{s['feed']}"
        cell = f"{s['series_id']} {s['event_date']} " if s["event_date"] else ""
        found[subject, HOLDING[s["rule_id"]]].append(cell + s["why"])
    for what in HOLDING.values():
        hits = [found.get((subject, what), []) for subject in profile["subject"].to_pylist()]
        profile = profile.append_column(f"n_{what}", pa.array([len(h) for h in hits], pa.int64()))
        profile = profile.append_column(f"{what}_eg", pa.array([", ".join(h[-EXAMPLES:]) for h in hits], pa.string()))
    return profile


def _mart_columns(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Type by column by published table."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    listed = con.execute("select table_name, column_name, data_type from duckdb_columns() "
                         "where database_name = 'warehouse' and schema_name = 'marts'")  # fmt: skip
    for table, column, kind in listed.fetchall():
        found[table][column] = kind
    return dict(found)


def _mart_profile(con: duckdb.DuckDBPyConnection, columns: dict[str, dict[str, str]]) -> pa.Table:
    """One row a published or required table: rows, floats, and what lies after the cut-off."""
    ((cutoff_at,),) = con.execute("select cutoff_at from scratch.ledger.cutoff").fetchall()
    rows = []
    for table in sorted(columns.keys() | MARTS.keys()):
        kinds = columns.get(table, {})
        floats = [c for c, kind in kinds.items() if kind in ("FLOAT", "DOUBLE")]
        later = "count(*) filter (known_from > $1)" if "known_from" in kinds else "0"
        day = next(
            (c for c in ("event_date", "session_date") if c in kinds and table.startswith(("fct_", "mart_"))), ""
        )
        dated = f"count(*) filter ({day} > $1::date + 1)" if day and table not in _LOOKS_AHEAD else "0"
        counts = (0, 0, 0)
        if kinds:
            counted = f"select count(*), {later}, {dated} from warehouse.marts.{table} where $1 is not null"
            counts = con.execute(counted, [cutoff_at]).fetchone()
        missing = table in MARTS and not MARTS[table].may_be_empty and counts[0] == 0
        rows.append({"subject": table, "n_rows": counts[0], "n_known_later": counts[1], "n_dated_later": counts[2],
                     "n_float_columns": len(floats), "float_columns_eg": ", ".join(floats[:EXAMPLES]),
                     "n_missing": int(missing)})  # fmt: skip
    return pa.Table.from_pylist(rows)


def _mart_rows(con: duckdb.DuckDBPyConnection, mart: str, columns: dict[str, str]) -> pa.Table:
    """The newest rows of a mart: its key as one text (NULL if a part of it is), and the columns that are checked."""
    parts = [f"coalesce({k[:-1]}::varchar, '')" if k.endswith("?") else f"{k}::varchar" for k in MARTS[mart].key]
    wanted = sorted({c.arguments["column"] for c in checks_of(mart) if "column" in c.arguments} - {"subject"})
    newest = "known_from desc nulls last, subject" if "known_from" in columns else "subject"
    columns_sql = ", ".join([f"{' || chr(32) || '.join(parts)} as subject", *wanted])
    cut = f"select {columns_sql} from warehouse.marts.{mart} order by {newest} limit {CUT}"
    return con.execute(cut).to_arrow_table()


# Evaluating: the one place that imports Great Expectations, which takes many seconds.


def _evaluate(build: Build, frames: dict[str, pa.Table]) -> tuple[list[dict], int]:
    """Rows of `gate_result` for every suite that has a frame, and how many expectations were evaluated."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    import great_expectations as gx
    import pandas as pd
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger(ProgressBarsConfig.__module__).setLevel(logging.ERROR)  # the import has set it to INFO
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("candidate").add_dataframe_asset("frame")
    batches = asset.add_batch_definition_whole_dataframe("whole")
    results, evaluated = [], 0
    for suite, table in frames.items():
        # decimals stay decimals: pandas' own numbers are floats
        frame = table.to_pandas(types_mapper=pd.ArrowDtype)
        batch = batches.get_batch(batch_parameters={"dataframe": frame})
        every = dict(enumerate(checks_of(suite)))
        judged = _validate(gx, batch, suite, every, "BOOLEAN_ONLY")
        # which rows fail costs twice as much to ask, so it is asked of what failed
        failed = {place: every[place] for place, one in judged.items() if not one.success}
        judged |= _validate(gx, batch, suite, failed, "COMPLETE") if failed else {}
        evaluated += len(judged)
        results += [row for place, one in judged.items() for row in _rows(build, suite, every[place], one, table)]
    return results, evaluated


def _validate(gx: ModuleType, batch: Any, suite: str, checks: dict[int, Check], result_format: str) -> dict[int, Any]:
    """Great Expectations' result of each check, by the check's place in its suite."""
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    expectations = [
        ExpectationConfiguration(type=c.expectation, kwargs=c.arguments, meta={"place": n}).to_domain_obj()
        for n, c in checks.items()
    ]
    done = batch.validate(
        gx.ExpectationSuite(name=suite, expectations=expectations),
        result_format={"result_format": result_format, "unexpected_index_column_names": ["subject"]},
    )
    return {one.expectation_config.meta["place"]: one for one in done.results}


def _rows(build: Build, suite: str, checked: Check, one: Any, table: pa.Table) -> list[dict]:
    """The rows of one evaluated check: one that it passed, or one for each subject that did not."""
    told, n = (build, checked.rule_id, checked.name), table.num_rows
    if raised := _raised(one.exception_info):
        return [_row(*told, "refuse", suite, f"could not be evaluated: {raised}", n, n)]
    if one.success:
        return [_row(*told, "pass", suite, "", n, 0)]
    if "column" not in checked.arguments:
        return [_row(*told, checked.outcome, suite, "there is nothing in it", n, 1)]
    failed = [str(hit["subject"]) for hit in one.result["unexpected_index_list"]]
    if suite in MARTS:
        shown = f"{len(failed)} of {n} rows: {', '.join(failed[:EXAMPLES])}"
        return [_row(*told, checked.outcome, suite, shown, n, len(failed))]
    facts = {row["subject"]: row for row in table.to_pylist()}
    return [_profile_row(told, checked, facts[subject]) for subject in failed]


def _profile_row(told: tuple, checked: Check, fact: dict) -> dict:
    what = checked.arguments["column"]
    count, examples = fact[what], fact.get(f"{what[2:]}_eg")
    owner = f"source: {fact['subject'].split('/')[0]}" if checked.owner == "source" else checked.owner
    evidence = f"{count} of {fact[checked.among]}" + (f": {examples}" if examples else "")
    return _row(*told, checked.outcome, fact["subject"], evidence, fact[checked.among], count, owner)


def _raised(info: dict) -> str:
    """What an expectation died of; "" if it did not. Great Expectations nests this by metric, or does not."""
    for one in [info] if "raised_exception" in info else info.values():
        if one["raised_exception"]:
            return " ".join(str(one["exception_message"]).split())[:200] or "unknown"
    return ""


def _row(build: Build, rule_id: str, name: str, outcome: str, subject: str, evidence: str, n_evaluated: int,
         n_failed: int, owner: str = "data engineering") -> dict:  # fmt: skip
    return {"run_id": build.run_id, "rule_id": rule_id, "check_name": name, "outcome": outcome, "subject": subject,
            "evidence": evidence[:500], "n_evaluated": n_evaluated, "n_failed": n_failed, "owner": owner,
            "checked_at": build.clock}  # fmt: skip


def _order(row: dict) -> tuple:
    return ["refuse", "hold", "label", "pass"].index(row["outcome"]), row["rule_id"], row["subject"], row["check_name"]
