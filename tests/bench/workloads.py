"""One workload a process: `python -m tests.bench.workloads NAME BASE_URL DIRECTORY`. The bench times the whole process.

small   20 feeds of 500 rows each, fetched and stored
one     1M rows as one gzipped payload, to Parquet
pages   1M rows in 1,000 pages, each landed durably by us
floor_* is download and DuckDB, ours_* the warehouse's own landing, pandas_* and dlt_* what a script would do.
"""

import gzip
import os
import shutil
import sys
import urllib.request
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

N_SMALL, N_PAGES = 20, 1000
CLOCK = datetime(2026, 1, 31, tzinfo=UTC)


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - loopback
        return answer.read()


def _urls(name: str, base: str) -> list[str]:
    if name == "one":
        return [f"{base}/one"]
    return [f"{base}/{name}/{n}" for n in range(N_SMALL if name == "small" else N_PAGES)]


def floor(name: str, base: str, home: Path) -> None:
    """Download to files, then one DuckDB query to Parquet."""
    import duckdb

    for n, url in enumerate(_urls(name, base)):
        body = _get(url)
        (home / f"{n}.json").write_bytes(gzip.decompress(body) if name == "one" else body)
    duckdb.execute(
        f"copy (select * from read_json('{home}/*.json', maximum_object_size=200000000)) to '{home}/out.parquet'"
    )


def pandas(name: str, base: str, home: Path) -> None:
    """What a script would do: requests, a frame a payload, one Parquet file."""
    import pandas as pd
    import requests

    with requests.Session() as session:
        frames = [pd.DataFrame(session.get(url).json()) for url in _urls(name, base)]
    pd.concat(frames).to_parquet(home / "out.parquet")


def dlt(name: str, base: str, home: Path) -> None:
    """dlt with its requests client and the filesystem destination, Parquet files."""
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": str(home / "dlt"),
                   "DESTINATION__FILESYSTEM__BUCKET_URL": str(home / "out")}  # fmt: skip
    import dlt as library
    from dlt.sources.helpers import requests

    @library.resource(name="rows")
    def rows():
        for url in _urls(name, base):
            yield requests.get(url).json()

    library.pipeline("bench", destination="filesystem", dataset_name="bench", pipelines_dir=str(home / "p")).run(
        rows(), loader_file_format="parquet"
    )


def ours(name: str, base: str, home: Path) -> None:
    """The warehouse's own landing: one client, durable bytes, manifest, strict parse, rows as runs."""
    os.environ |= {"WAREHOUSE_HOME": str(home), "CAPMIG_CLOCK": CLOCK.isoformat(), "CAPMIG_BASE_URL__BENCH": base}
    from include import pipeline, settings
    from include.core.source import Feed, Release, Request, Source
    from include.sources import registry

    def feed(label: str, urls: list[str]) -> Feed:
        return Feed(name=label, kind="WINDOW", clock="rates", shape="observation", media="json", parse=parse,
                    restates="none", release=Release("UTC247", 0, "00:00"), max_bytes=2**30,
                    requests=lambda _: [Request(url.removeprefix(base)) for url in urls])  # fmt: skip

    urls = _urls(name, base)
    feeds = tuple(feed(f"f{n}", [u]) for n, u in enumerate(urls)) if name == "small" else (feed("all", urls),)
    registry()["bench"] = Source(
        source_id="bench", title="", base_url=base, lineage_root="bench", evidence_kind="origin", rank=1, licence="",
        credit="", verified="recorded", min_interval_s=0, feeds=feeds,
    )  # fmt: skip
    loaded = settings.load()
    for each in feeds:
        assert {a.outcome for a in pipeline.land(loaded, "bench", each.name, run_id="bench")} == {"LANDED"}


def parse(payload):
    """The bench's own contract: series, instant in seconds, exact value."""
    from include.core.parse import number, read_json
    from include.core.shapes import Observation, Parsed

    rows = []
    for n, cell in enumerate(read_json(payload.body)):
        at = datetime.fromtimestamp(cell["t"], UTC)
        rows.append(Observation(series_id=cell["s"], event_date=at.date(), event_at=at, value=number(cell["v"]),
                                unit="usd", value_raw=cell["v"], locator=str(n)))  # fmt: skip
    return Parsed(rows)


def payload(name: str, n: int) -> bytes:
    """What the loopback server answers: deterministic rows, values as exact text."""
    count, first = {"small": (500, n), "one": (1_000_000, 0), "pages": (1000, n)}[name]
    cells = (
        f'{{"s":"RATE.B{i % 400}","t":{1_700_000_000 + 60 * (first * count + i)},"v":"{Decimal(i * 7919 % 10**9) / 10**4}"}}'
        for i in range(count)
    )
    return ("[" + ",".join(cells) + "]").encode()


if __name__ == "__main__":
    kind, _, workload = sys.argv[1].partition("_")
    target = Path(sys.argv[3])
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    {"floor": floor, "pandas": pandas, "dlt": dlt, "ours": ours}[kind](workload, sys.argv[2], target)
