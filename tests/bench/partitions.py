"""What days of a big feed cost: `python -m tests.bench.partitions DIRECTORY [DAYS ROWS] [--full]`.

By default small days: one changed day after a history of 30, 300 and 3,000 of them. With DAYS and ROWS one history of
that size, computed once as a loop over days; `--full` is 30 days of 3.4 M rows, 100 M in all, with the peak of memory.
Each line: days computed, CPU seconds of the plan (which days are due) and of the model, peak memory.
"""

import resource
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from include.core.shapes import SCHEMAS
from include.warehouse import build as builds
from include.warehouse import partitions

START = datetime(2017, 1, 1, tzinfo=UTC)
SMALL = (30, 300, 3000)
TABLES = {name: [] for name in ("asked", "hold", "fetch_outcome", "gate_result", "publication", "model_run")}

# `$accounts` accounts of ten positions and a row of their own, at `$states` instants of a day
_DAY = """
    select 'HYPERLIQUID' as venue, 'account-' || account as account,
        case when coin = 0 then 'ALL' else 'COIN-' || coin end as instrument,
        case when coin = 0 then 'account' else 'position' end as record_kind,
        strftime(seen, '%Y-%m-%dT%H:%M:%S') as record_id, case when coin > 0 then 'long' end as side,
        case when coin = 0 then 'cross' else 'isolated' end as margin_mode, null::varchar as counterparty,
        $day::date as event_date, seen as event_at, (1 + hash(account, coin, $salt) % 1000)::decimal(38, 18) as qty,
        100::decimal(38, 18) as entry_price, null::decimal(38, 18) as mark_price, null::decimal(38, 18) as liq_price,
        1000::decimal(38, 18) as notional_usd, 100::decimal(38, 18) as margin_usd, 100::decimal(38, 18) as equity_usd,
        10::decimal(38, 18) as leverage_setting, 25::decimal(38, 18) as max_leverage,
        'bench' as source_id, 'state' as feed, 0 as feed_rank, 'bench' as lineage_root, 'measurement' as evidence_kind,
        null::varchar as measurement_root, 'final' as obs_status, '1' as value_raw, null::timestamptz as published_at,
        null::timestamptz as claimed_known_at, 'first_seen' as vintage_kind, seen as first_seen, seen as last_seen,
        1::bigint as n_seen, 'payload' as payload_sha256, 'coin=' || coin as locator, '1' as parser_version
    from (select $day::timestamptz + to_minutes(5 * no::int) as seen from range($states) as instants (no))
    cross join range($accounts) as accounts (account) cross join range(11) as coins (coin)"""


def day_rows(home: Path, day: int, *, accounts: int, states: int, salt: int = 0) -> Path:
    """The row file of one day; another `salt` is another content under another name."""
    folder = home / "rows" / "position" / "bench__state"
    folder.mkdir(parents=True, exist_ok=True)
    at = START + timedelta(days=day)
    path = folder / f"{at:%Y-%m-%d}__{salt:016x}.parquet"
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'; set memory_limit = '2GB'")
        asked = {"day": at, "accounts": accounts, "states": states, "salt": salt}
        with pq.ParquetWriter(path, SCHEMAS["position"], compression="zstd") as writer:  # a day is not to be the peak
            for batch in con.execute(_DAY, asked).to_arrow_reader(2**17):
                table = pa.Table.from_batches([batch]).select(SCHEMAS["position"].names)
                writer.write_table(table.cast(SCHEMAS["position"]))
    return path


def index(home: Path) -> None:
    """The feed's index, as landing keeps it."""
    folder = home / "rows" / "position" / "bench__state"
    names = sorted(path.name for path in folder.glob("*.parquet"))
    (folder / "index").write_text("".join(f"{name}\n" for name in names))


def compute(home: Path, days: int, name: str, *, as_of: datetime | None = None) -> tuple[builds.Build, float, float]:
    """A build of the partition model alone: the build, CPU seconds of the plan and of the model."""
    clock = START + timedelta(days=days, hours=1)
    made = builds.prepare(home, [], run_id=name, clock=clock, as_of=as_of, tables=TABLES)
    before = _cpu()
    partitions.plan(home, _fresh(home / "build" / f"{name}-plan", made.path), as_of or clock)
    planned = _cpu() - before
    spent = []
    started = 0.0

    def on_node(data) -> None:
        nonlocal started
        if data.node_info.node_name == "position_day":
            spent.append(_cpu() - started)
        started = _cpu()

    builds.run_dbt(made, ["run", "--select", "+position_day"], threads=1, on_node=on_node)
    partitions.keep(home, made.path)
    return made, planned, spent[0]


def _fresh(folder: Path, build: Path) -> Path:
    folder.mkdir()
    (folder / "inputs").symlink_to(build / "inputs")
    return folder


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _tell(label: str, made: builds.Build, planned: float, spent: float) -> None:
    due = sum(r["is_due"] for r in pq.read_table(made.path / "inputs" / "partition.parquet").to_pylist()) - 1
    (rows,) = builds.query(made.scratch, "select count(*) from ledger.position_day")[0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {label:<34}{due:5} days computed, {rows:10,} rows in all, plan {planned:6.2f} s cpu, "
          f"model {spent:7.2f} s cpu, peak {peak:6.0f} MB", flush=True)  # fmt: skip


def history(home: Path, days: int, *, accounts: int, states: int) -> None:
    """Days of rows, computed once; then the last one changed and computed again."""
    for day in range(days):
        day_rows(home, day, accounts=accounts, states=states)
    index(home)
    _tell(f"{days} days of {accounts * states * 11:,} rows", *compute(home, days, f"run-{days}-first"))
    day_rows(home, days - 1, accounts=accounts, states=states, salt=1)
    (
        home / "rows" / "position" / "bench__state" / f"{START + timedelta(days=days - 1):%Y-%m-%d}__{0:016x}.parquet"
    ).unlink()
    index(home)
    _tell("  one of them changed", *compute(home, days, f"run-{days}-again"))


def main() -> None:
    """Print the lines that were asked for."""
    where, *said = [word for word in sys.argv[1:] if word != "--full"]
    if "--full" in sys.argv:
        history(Path(where) / "full", 30, accounts=1080, states=288)
    elif said:
        days, rows = map(int, said)
        history(Path(where) / "one", days, accounts=max(1, rows // (288 * 11)), states=288)
    else:
        for days in SMALL:
            history(Path(where) / str(days), days, accounts=5, states=2)


if __name__ == "__main__":
    main()
