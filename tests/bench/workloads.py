"""One workload a process: `python -m tests.bench.workloads NAME BASE_URL DIRECTORY`. The bench times the whole process.

small   20 feeds of 500 rows each, fetched and stored
one     1M account positions as one gzipped payload, to Parquet
pages   1M account positions in 1,000 pages, each landed durably by us
most    an ordinary feed of as many cells as one may have
floor_* is download and DuckDB, kept_* the same with each payload durable under its hash, ours_* the warehouse's own
landing, pandas_* and dlt_* what a script would do.
"""

import gzip
import hashlib
import os
import sys
import urllib.request
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

N_SMALL, N_PAGES, MOST = 20, 1000, 350_000
COINS = ("BTC", "ETH", "SOL", "HYPE", "XRP", "DOGE", "kPEPE", "SUI")
CLOCK = datetime(2026, 1, 31, tzinfo=UTC)


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - loopback
        return answer.read()


def _urls(name: str, base: str) -> list[str]:
    if name in ("one", "most"):
        return [f"{base}/{name}"]
    return [f"{base}/{name}/{n}" for n in range(N_SMALL if name == "small" else N_PAGES)]


def floor(name: str, base: str, home: Path) -> None:
    """Download to files, then one DuckDB query to Parquet."""
    for n, url in enumerate(_urls(name, base)):
        body = _get(url)
        (home / f"{n}.json").write_bytes(gzip.decompress(body) if name == "one" else body)
    _query(home)


def kept(name: str, base: str, home: Path) -> None:
    """The floor of whoever keeps what arrives: by requests, named by its hash and durable, then the same query."""
    import requests

    with requests.Session() as session:
        for url in _urls(name, base):
            body = session.get(url).content
            with (home / f"{hashlib.sha256(body).hexdigest()}.json").open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
    _query(home)


def _query(home: Path) -> None:
    import duckdb

    duckdb.execute(
        f"copy (select * from read_json('{home}/*.json', maximum_object_size=400000000)) to '{home}/out.parquet'"
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


def positions() -> object:
    """The bench's positions as a columnar contract."""
    from include.core.columnar import Columnar, Wire

    return Columnar(
        shape="position",
        columns={
            "venue": "BENCH", "record_kind": "position", "record_id": "", "account": Wire("user", pattern="0x[0-9a-f]{40}"),
            "instrument": Wire("coin", pattern="[A-Za-z0-9]{1,20}"), "event_at": Wire("time", "millis"),
            "value_raw": Wire("szi"), "qty": Wire("szi", "decimal"),
            "entry_price": Wire("entryPx", "decimal", positive=True), "mark_price": Wire("markPx", "decimal", positive=True),
            "liq_price": Wire("liquidationPx", "decimal", optional=True), "notional_usd": Wire("positionValue", "decimal"),
            "margin_usd": Wire("marginUsed", "decimal"), "equity_usd": Wire("accountValue", "decimal"),
            "leverage_setting": Wire("leverage", "number", positive=True),
            "margin_mode": Wire("marginMode", pattern="cross|isolated"),
        },
    )  # fmt: skip


def ours(name: str, base: str, home: Path) -> None:
    """The warehouse's own landing: one client, durable bytes, manifest, strict parse, rows as runs."""
    os.environ |= {"WAREHOUSE_HOME": str(home), "CAPMIG_CLOCK": CLOCK.isoformat(), "CAPMIG_BASE_URL__BENCH": base,
                   "OPENBLAS_NUM_THREADS": "1"}  # the last as the program does  # fmt: skip
    from include import settings
    from include.core.source import Feed, Release, Request, Source
    from include.landing.land import land
    from include.sources import registry

    def feed(label: str, urls: list[str]) -> Feed:
        shape, reader = ("observation", parse) if name in ("small", "most") else ("position", positions())
        return Feed(name=label, kind="WINDOW", clock="rates", shape=shape, media="json", parse=reader,
                    restates="none", release=Release("UTC247", 0, "00:00"),
                    max_bytes=16 * 2**20 if shape == "observation" else 2**30,
                    requests=lambda _: [Request(url.removeprefix(base)) for url in urls])  # fmt: skip

    urls = _urls(name, base)
    feeds = tuple(feed(f"f{n}", [u]) for n, u in enumerate(urls)) if name == "small" else (feed("all", urls),)
    registry()["bench"] = Source(
        source_id="bench", title="", base_url=base, lineage_root="bench", evidence_kind="origin", rank=1, licence="",
        credit="", verified="recorded", min_interval_s=0, feeds=feeds,
    )  # fmt: skip
    loaded = settings.load()
    for each in feeds:
        assert {a.outcome for a in land(loaded, "bench", each.name, run_id="bench")} == {"LANDED"}


def parse(payload):
    """The bench's own contract: series, instant in seconds, exact value."""
    from include.core.parse import number, read_json
    from include.core.shapes import Observation, Parsed

    rows = []
    for n, cell in enumerate(read_json(payload.body)):
        if isinstance(cell, str):  # the most rows that a number of cells can make
            cell = dict(zip("stv", cell.split(), strict=True)) | {"t": int(cell.split()[1])}
        at = datetime.fromtimestamp(cell["t"], UTC)
        rows.append(Observation(series_id=cell["s"], event_date=at.date(), event_at=at, value=number(cell["v"]),
                                unit="usd", value_raw=cell["v"], locator=str(n)))  # fmt: skip
    return Parsed(rows)


def payload(name: str, n: int) -> bytes:
    """What the loopback server answers: deterministic rows, values as exact text."""
    count, first = {"small": (500, n), "one": (1_000_000, 0), "pages": (1000, n), "most": (MOST, 0)}[name]
    if name in ("one", "pages"):
        return ("[" + ",".join(map(position, range(first * count, (first + 1) * count))) + "]").encode()
    form = '"{s} {t} {v}"' if name == "most" else '{{"s":"{s}","t":{t},"v":"{v}"}}'
    cells = (
        form.format(
            s=f"RATE.B{i % 400}", t=1_700_000_000 + 60 * (first * count + i), v=Decimal(i * 7919 % 10**9) / 10**4
        )
        for i in range(count)
    )
    return ("[" + ",".join(cells) + "]").encode()


def position(i: int) -> str:
    """One account's position in one coin; an account has eight."""
    account, price = i // 8, i * 104_729 % 10**7 + 1
    return (
        f'{{"user":"0x{account * 0x9E3779B97F4A7C15 % 2**64:016x}{account:024x}","coin":"{COINS[i % 8]}",'
        f'"szi":"{Decimal(i * 7919 % 2_000_003 - 1_000_001) / 1000}","entryPx":"{Decimal(price) / 100}",'
        f'"markPx":"{Decimal(price + 7) / 100}","liquidationPx":'
        + ("null" if i % 5 == 0 else f'"{Decimal(price) / 50}"')
        + f',"positionValue":"{Decimal(i * 7919 % 10**9) / 10**4}","marginUsed":"{Decimal(i * 31 % 10**8) / 10**4}",'
        f'"accountValue":"{Decimal(account * 977 % 10**9) / 100}","leverage":{1 + i % 50},'
        f'"marginMode":"{"cross" if i % 3 else "isolated"}","time":1769817600000}}'
    )


if __name__ == "__main__":
    kind, _, workload = sys.argv[1].partition("_")
    target = Path(sys.argv[3])
    target.mkdir(parents=True)
    {"floor": floor, "kept": kept, "pandas": pandas, "dlt": dlt, "ours": ours}[kind](workload, sys.argv[2], target)
