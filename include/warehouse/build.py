"""Build the warehouse with dbt, in one process, into a file of its own.

build/<run_id>/inputs/          hard links of the row files, and the run's own small tables: frozen for the build
build/<run_id>/partitions/      days of the big feeds: what earlier builds computed by hard link, and what this one did
build/<run_id>/scratch.duckdb   staging and ledger
build/<run_id>/warehouse.duckdb marts and ops, tables only: what is published
build/dbt/                      links to the newest frozen inputs and days, for `dbt build` by hand
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from include.core import disk
from include.core.calendars import CALENDARS, is_open, released_at, sessions
from include.core.clock import iso, stamp
from include.core.errors import CapmigError
from include.core.shapes import INSTANT, SCHEMAS, VALUE
from include.core.source import Feed, Source
from include.warehouse import partitions

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
COVERAGE_DAYS = 62


class BuildError(CapmigError):
    """dbt could not build the warehouse: a model or a test failed."""


@dataclass(frozen=True, slots=True)
class Build:
    """One build: where it stands and what it was made of."""

    run_id: str
    path: Path
    clock: datetime
    as_of: datetime | None
    input_hash: str

    @property
    def warehouse(self) -> Path:
        """The file with `marts` and `ops`."""
        return self.path / "warehouse.duckdb"

    @property
    def scratch(self) -> Path:
        """The file with staging and ledger."""
        return self.path / "scratch.duckdb"


_S, _I, _D = pa.string(), pa.int64(), pa.date32()
TABLES: dict[str, pa.Schema] = {
    "run": pa.schema([("run_id", _S), ("clock", INSTANT), ("as_of", INSTANT)]),
    "source": pa.schema(
        [("source_id", _S), ("title", _S), ("lineage_root", _S), ("evidence_kind", _S), ("rank", _I),
         ("licence", _S), ("credit", _S), ("verified", _S), ("base_url", _S)]
    ),  # fmt: skip
    "feed": pa.schema(
        [("source_id", _S), ("feed", _S), ("kind", _S), ("clock", _S), ("shape", _S), ("restates", _S),
         ("revises", pa.bool_()), ("late_after_days", _I), ("release_rule", _S), ("parser_version", _S),
         ("requires", _S)]
    ),  # fmt: skip
    "market_session": pa.schema(
        [("calendar", _S), ("session_date", _D), ("open_at", INSTANT), ("close_at", INSTANT),
         ("is_half_day", pa.bool_())]
    ),  # fmt: skip
    "expected": pa.schema(
        [("series_id", _S), ("source_id", _S), ("feed", _S), ("event_date", _D), ("due_at", INSTANT)]
    ),  # fmt: skip
    "hold": pa.schema(
        [("hold_id", _S), ("rule_id", _S), ("source_id", _S), ("series_id", _S), ("event_date", _D),
         ("event_at", INSTANT), ("value", VALUE), ("obs_status", _S), ("held_at", INSTANT), ("why", _S),
         ("released_at", INSTANT), ("released_why", _S), ("batch_id", _S)]
    ),  # fmt: skip
    "fetch_outcome": pa.schema(
        [("source_id", _S), ("feed", _S), ("run_id", _S), ("seen_at", INSTANT), ("recorded_at", INSTANT),
         ("outcome", _S), ("rule_id", _S), ("reason", _S), ("origin", _S), ("http_status", _I),
         ("http_attempts", _I), ("n_bytes", _I), ("n_rows", _I), ("payload_sha256", _S), ("vintage_kind", _S),
         ("window_start", _S), ("window_end", _S), ("parser_version", _S), ("headers", _S)]
    ),  # fmt: skip
    "gate_result": pa.schema(
        [("run_id", _S), ("rule_id", _S), ("check_name", _S), ("outcome", _S), ("subject", _S), ("evidence", _S),
         ("n_evaluated", _I), ("n_failed", _I), ("owner", _S), ("checked_at", INSTANT)]
    ),  # fmt: skip
    "publication": pa.schema(
        [("seq", _I), ("run_id", _S), ("published_at", INSTANT), ("cutoff_at", INSTANT), ("code_sha256", _S),
         ("input_hash", _S), ("marts_hash", _S), ("newest_known_from", INSTANT), ("n_labels", _I), ("n_holds", _I)]
    ),  # fmt: skip
    "partition": pa.schema(
        [("model", _S), ("event_date", _D), ("name", _S), ("files", _S), ("is_due", pa.bool_()),
         ("is_kept", pa.bool_())]
    ),  # fmt: skip
    "model_run": pa.schema([("run_id", _S), ("model", _S), ("status", _S), ("seconds", pa.decimal128(18, 3))]),
}  # fmt: skip


PROJECT_FILES = (".sql", ".yml", ".csv", ".md")


def code_hash() -> str:
    """sha256 over the code that decides figures: the dbt project and the package."""
    package = _tree_hash(PROJECT.parent / "include", (".py", ".csv", ".sql"))
    return hashlib.sha256((_tree_hash(PROJECT, PROJECT_FILES) + package).encode()).hexdigest()


def _tree_hash(root: Path, kinds: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.suffix in kinds and not {"target", "logs", "__pycache__"} & set(relative.parts):
            digest.update(str(relative).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def write_table(path: Path, name: str, rows: Iterable[dict]) -> None:
    """One of the run's own tables as Parquet of its declared schema."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema=TABLES[name]), path)


def _declarations(sources: Iterable[Source]) -> tuple[list[dict], list[dict]]:
    source_rows, feed_rows = [], []
    for s in sources:
        source_rows.append({n: getattr(s, n) for n in TABLES["source"].names})
        for f in s.feeds:
            known = {n: getattr(f, n) for n in TABLES["feed"].names if hasattr(f, n)}
            feed_rows.append(known | {"source_id": s.source_id, "feed": f.name, "release_rule": _release_text(f)})
    return source_rows, feed_rows


def _release_text(feed: Feed) -> str:
    r = feed.release
    return f"{r.days} open day(s) of {r.calendar} later, {r.at} {r.zone}"


def _expected(sources: Iterable[Source], until: date, asked: set[tuple[str, str]]) -> list[dict]:
    """Every reading that is due in the coverage window: open days of the release's calendar.

    What was never asked here (no key, or not on the record) is not expected; what a person must bring always is.
    """
    days = [until - timedelta(days=n) for n in range(COVERAGE_DAYS - 1, -1, -1)]
    rows = []
    for source in sources:
        for feed in source.feeds:
            calendar = feed.calendar or feed.release.calendar
            is_expected = feed.kind == "INBOX" or (source.source_id, feed.name) in asked
            for day in days if feed.expects and is_expected else ():
                if is_open(calendar, day):
                    due = released_at(feed.release, day)
                    rows += [
                        {"series_id": series, "source_id": source.source_id, "feed": feed.name, "event_date": day,
                         "due_at": due} for series in feed.expects
                    ]  # fmt: skip
    return rows


def _market_sessions(home: Path) -> Path:
    """The calendars as Parquet, computed once for each version of the calendar libraries."""
    from importlib.metadata import version

    versions = f"{version('exchange_calendars')}-{version('holidays')}"
    path = home / "build" / "cache" / f"market_session__{versions}.parquet"
    if not path.exists():
        disk.make_dir(path.parent)
        sink = pa.BufferOutputStream()
        rows = [row for calendar in CALENDARS for row in sessions(calendar)]
        pq.write_table(pa.Table.from_pylist(rows, schema=TABLES["market_session"]), sink)
        disk.write_new(path, sink.getvalue().to_pybytes())
    return path


def freeze(home: Path, build_dir: Path, sources: list[Source], *, run_id: str, clock: datetime, as_of: datetime | None,
           tables: dict[str, list[dict]]) -> str:  # fmt: skip
    """Lay out a build's inputs and return their hash: row files by hard link, small tables by value.

    `tables["asked"]` names the feeds that this warehouse asks, `source_id` and `feed`: configuration, not knowledge, so
    it is the same for every cut-off.

    The hash says whether a build could come out differently: row files (named by their inputs), holds, outcomes,
    the cut-off and the code. The clock is not in it, since time alone changes no figure.
    """
    inputs = build_dir / "inputs"
    linked = []
    for shape in SCHEMAS:
        (inputs / "rows" / shape / "none").mkdir(parents=True)
        pq.write_table(SCHEMAS[shape].empty_table(), inputs / "rows" / shape / "none" / "0.parquet")
        for folder in sorted((home / "rows" / shape).glob("*")):
            target = inputs / "rows" / shape / folder.name
            target.mkdir()
            linked += [f"{shape}/{folder.name}/{name}" for name in _link_rows(folder, target)]
    source_rows, feed_rows = _declarations(sources)
    asked = {(r["source_id"], r["feed"]) for r in tables["asked"]}
    every = {name: rows for name, rows in tables.items() if name in TABLES} | {
        "run": [{"run_id": run_id, "clock": clock, "as_of": as_of}],
        "source": source_rows,
        "feed": feed_rows,
        "expected": _expected(sources, (as_of or clock).date(), asked),
    }
    for name, rows in every.items():
        write_table(inputs / f"{name}.parquet", name, rows)
    os.link(_market_sessions(home), inputs / "market_session.parquet")
    seen = [
        sorted(str(sorted(r.items(), key=lambda i: i[0])) for r in tables["hold"]),
        sorted(str([r[n] for n in ("source_id", "feed", "seen_at", "origin", "outcome", "payload_sha256", "reason")])
               for r in tables["fetch_outcome"] if r["outcome"] != "UNCHANGED"),
        as_of and iso(as_of), code_hash(), linked,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def _link_rows(folder: Path, target: Path) -> list[str]:
    """Hard-link the files that a feed's index names; again if landing swapped them meanwhile."""
    for _ in range(20):
        names = (folder / "index").read_text(encoding="utf-8").split()
        try:
            for name in names:
                os.link(folder / name, target / name)
        except FileNotFoundError:
            for path in target.iterdir():
                path.unlink()
            continue
        return names
    raise BuildError(f"the rows of {folder.name} keep changing", rule="B.freeze", action="run the build again")


def run_dbt(build: Build, args: list[str], *, threads: int, on_node=None) -> list:
    """One dbt invocation in this process. Returns its node results; `BuildError` names those that failed."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    target = build.path / "target"
    project = hashlib.sha256(f"{PROJECT}\0{_tree_hash(PROJECT, PROJECT_FILES)}".encode()).hexdigest()
    parsed = build.path.parent / "cache" / f"project-{project[:16]}.msgpack"
    told = {"CAPMIG_BUILD_DIR": str(build.path), "CAPMIG_THREADS": str(threads), "DO_NOT_TRACK": "1"}
    before = dict(os.environ)
    os.environ |= told
    common = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target-path", str(target),
              "--log-path", str(build.path / "logs"), "--no-write-json", "--quiet", "--log-level", "none",
              "--log-level-file", "info"]  # fmt: skip
    events = [lambda event: on_node(event.data) if on_node and event.info.name == "NodeFinished" else None]
    try:
        result = dbtRunner(_parsed_project(parsed), callbacks=events).invoke([args[0], *common, *args[1:]])
    finally:
        DuckDBConnectionManager.close_all_connections()
        for name in told.keys() - before.keys():  # what dbt was told is no configuration of whoever builds
            del os.environ[name]
        os.environ |= before
    nodes = list(getattr(result.result, "results", None) or [])
    if not result.success:
        bad = [f"{n.node.name}: {_broken(build, n)}" for n in nodes if str(n.status) in ("error", "fail")]
        what = "; ".join(bad) or str(result.exception or "dbt could not start")
        raise BuildError(" ".join(what.split())[:400], rule="B.dbt",
                         action=f"read {build.path.name}/logs/dbt.log; nothing was published")  # fmt: skip
    if not parsed.exists() and (target / "partial_parse.msgpack").exists():
        disk.make_dir(parsed.parent)
        disk.write_new(parsed, (target / "partial_parse.msgpack").read_bytes())
    return nodes


def _broken(build: Build, node) -> str:
    """What failed: the rules that a failed test lists with the rows that break each, else dbt's message."""
    if str(node.status) != "fail" or not build.warehouse.exists():
        return node.message
    with duckdb.connect(str(build.scratch), read_only=True) as con:
        con.execute(f"attach '{build.warehouse}' as warehouse (read_only)")
        found = con.execute(node.node.compiled_code).fetchmany(5)
    return "; ".join(", ".join(str(cell) for cell in row) for row in found)


def _parsed_project(path: Path):
    """The project as dbt parsed it before, or None. dbt's own cache is void whenever the profile's path differs, and
    every build has a path of its own; the file's name, a hash of project and place, says when to parse again."""
    from dbt.contracts.graph.manifest import Manifest

    if not path.exists():
        return None
    manifest = Manifest.from_msgpack(path.read_bytes())
    manifest.build_flat_graph()
    return manifest


def prepare(home: Path, sources: list[Source], *, run_id: str, clock: datetime, as_of: datetime | None,
            tables: dict[str, list[dict]]) -> Build:  # fmt: skip
    """Freeze a build's inputs under `build/<run_id>/`; nothing is computed yet."""
    path = home / "build" / run_id
    shutil.rmtree(path, ignore_errors=True)
    disk.make_dir(path)
    input_hash = freeze(home, path, sources, run_id=run_id, clock=clock, as_of=as_of, tables=tables)
    write_table(path / "inputs" / "partition.parquet", "partition", partitions.plan(home, path, as_of or clock))
    return Build(run_id, path, clock, as_of, input_hash)


def make(build: Build, *, threads: int, on_node=None) -> list[dict]:
    """Build every model and run every data test. Returns rows of `model_run`.

    An as-of build is an answer, not a candidate: it is the same models over less, and its data tests, a third of the
    time, are left out.
    """
    skipped = ["unit_test"] if build.as_of is None else ["unit_test", "test"]
    if build.as_of is None:  # an as-of build is gone in a moment
        by_hand = build.path.parent / "dbt"
        by_hand.mkdir(exist_ok=True)
        for name in ("inputs", "partitions"):
            (by_hand / name).unlink(missing_ok=True)
            (by_hand / name).symlink_to(Path("..") / build.path.name / name)
    excluded = [part for kind in skipped for part in ("--exclude-resource-type", kind)]
    nodes = run_dbt(build, ["build", *excluded], threads=threads, on_node=on_node)
    partitions.keep(build.path.parents[1], build.path)
    return _model_runs(build.run_id, nodes)


def _model_runs(run_id: str, nodes: list) -> list[dict]:
    from decimal import Decimal

    return [
        {"run_id": run_id, "model": n.node.name, "status": str(n.status), "seconds": Decimal(f"{n.execution_time:.3f}")}
        for n in nodes
        if n.node.resource_type == "model"
    ]


def sweep(home: Path, keep: int = 3) -> int:
    """Remove all but the newest build directories. Returns how many went."""
    runs = sorted(
        (p for p in (home / "build").glob("*") if p.name[:3] in ("run", "as-")), key=lambda p: p.stat().st_mtime
    )
    for path in runs[: max(0, len(runs) - keep)]:
        shutil.rmtree(path, ignore_errors=True)
    return max(0, len(runs) - keep)


def new_run_id(clock: datetime) -> str:
    """A run's name: its clock and a few random letters, so that two runs under one clock differ."""
    return f"run-{stamp(clock)}-{os.urandom(3).hex()}"


def query(path: Path, sql: str, params: Iterable = ()) -> list[tuple]:
    """Rows of a read-only query on a build's file."""
    with duckdb.connect(str(path), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        return con.execute(sql, list(params)).fetchall()
