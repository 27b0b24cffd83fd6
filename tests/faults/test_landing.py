"""Rows 42, 45: every storage call of landing fails once, stays broken, or is where the process dies."""

import shutil
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest

from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Source
from include.landing import runs
from include.landing.store import ACCEPTED, Store, attempt_of
from tests.faults.steps import Steps

SEEN = [datetime(2026, 1, day, tzinfo=UTC) for day in (5, 6, 7)]
LAYERS = ("include.core.disk",)


def parse(payload: Payload) -> Parsed:
    """`2026-01-05=1.5` a line."""
    rows = [
        Observation(series_id="RATE.X", event_date=date.fromisoformat(day), value=Decimal(value), unit="percent",
                    value_raw=value, locator=day)
        for day, value in (line.split("=") for line in payload.body.decode().split())
    ]  # fmt: skip
    return Parsed(rows, rows[0].event_date, rows[-1].event_date)


FEED = Feed(name="daily", kind="WINDOW", clock="rates", shape="observation", media="csv", parse=parse,
            restates="window", release=Release("UTC247", 1, "00:00"))  # fmt: skip
SOURCE = Source(source_id="toy", title="Toy", base_url="https://example.org", lineage_root="toy", evidence_kind="origin",
                rank=1, licence="none", credit="toy", verified="recorded", feeds=(FEED,))  # fmt: skip
FIRST = [b"2026-01-03=1.5\n2026-01-04=1.6\n"]
SECOND = [b"2026-01-03=1.5\n2026-01-04=1.7\n", b"2026-01-05=1.8\n2026-01-06=1.9\n"]


def put(store: Store, body: bytes) -> str:
    """One payload in its place; returns its sha256."""
    with store.spool("toy", "daily") as spool:
        spool.write(body)
        return store.put("toy", "daily", spool).name


def land(home: Path, bodies: list[bytes], seen_at: datetime) -> None:
    """One acknowledged batch, and the rows derived from it: the storage side of a fetch."""
    store = Store(home)
    with store.lock("toy", "daily"):
        known = {a.sha256 for a in store.attempts("toy", "daily") if a.outcome in ACCEPTED}
        batch = [
            attempt_of("toy", "daily", "r", seen_at, seen_at, vintage_kind="first_seen", origin="t", sha256=sha,
                       outcome="UNCHANGED" if sha in known else "LANDED")
            for sha in [put(store, body) for body in bodies]
        ]  # fmt: skip
        store.append(batch)
        runs.derive(home, SOURCE, FEED, seen_at)


def second_landing(home: Path) -> None:
    """The scenario that is made to fail."""
    land(home, SECOND, SEEN[1])


def content(home: Path) -> list[tuple]:
    """Every derived run, as a reader of the row files would see it."""
    import duckdb

    folder = home / "rows" / "observation" / "toy__daily"
    names = [str(folder / n) for n in (folder / "index").read_text().split()]
    merged = runs.merge_sql("observation", f"read_parquet({names!r})")
    with duckdb.connect() as con:
        return con.execute(f"select series_id, event_date, value, first_seen, last_seen from ({merged})").fetchall()


@pytest.mark.parametrize("pieces", [[], [b"one"], [b"one", b"two"]])
def test_what_comes_in_is_read_as_it_is_written(pieces: list[bytes], tmp_path: Path) -> None:
    """In one piece or in many, at the first try or after one that broke off."""
    with Store(tmp_path).spool("toy", "daily") as spool:
        for tried in ([b"broken", b"off"], pieces):
            spool.restart()
            for piece in tried:
                spool.write(piece)
            with spool.open() as file:
                assert file.read() == b"".join(tried) == spool.path.read_bytes()
        assert (spool.n_bytes, spool.sha256) == (len(b"".join(pieces)), sha256(b"".join(pieces)).hexdigest())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse in which the first landing is acknowledged."""
    home = tmp_path_factory.mktemp("base")
    land(home, FIRST, SEEN[0])
    return home


@pytest.mark.parametrize("mode", ["error", "broken", "kill"])
def test_row_45_every_point_of_landing(mode: str, base: Path, tmp_path: Path) -> None:
    """Nothing acknowledged is lost, nothing half-written is visible, and the next landing converges."""
    steps = Steps("tests.faults.test_landing:second_landing", LAYERS)
    clean = tmp_path / "clean"
    shutil.copytree(base, clean)
    total = len(steps.run(clean).calls)
    assert total > 30
    expected = content(clean)
    for n in range(1, total + 1, 5 if mode == "broken" else 1):
        home = tmp_path / f"{mode}{n}"
        shutil.copytree(base, home)
        outcome = steps.run(home, mode, n)
        assert outcome.killed == (mode == "kill")
        assert Store(home).verify() == [], f"{mode} at {n}: damaged landing"
        # a batch may be torn between two lines: each line that is whole names bytes that are durable
        assert 1 <= len(Store(home).attempts("toy", "daily")) <= 3, f"{mode} at {n}"
        second_landing(home)
        assert content(home) == expected, f"{mode} at {n}: rows differ after the next landing"
        shutil.rmtree(home)


def test_row_65_one_flipped_bit_is_found_and_the_file_named(base: Path, tmp_path: Path) -> None:
    """50 flips over landed bytes and manifest lines: each is refused by name."""
    home = tmp_path / "flip"
    shutil.copytree(base, home)
    raw = next((home / "landing" / "raw" / "toy" / "daily").iterdir())
    manifest = home / "landing" / "manifest" / "toy" / "daily.jsonl"
    for path, flips in ((raw, 25), (manifest, 25)):
        whole = path.read_bytes()
        path.chmod(0o644)
        for k in range(flips):
            at = (k * 7919) % (len(whole) * 8 - 8)  # not the newline that ends the manifest
            torn = bytearray(whole)
            torn[at // 8] ^= 1 << (at % 8)
            path.write_bytes(torn)
            problems = Store(home).verify()
            assert problems, f"bit {at} of {path.name}"
            assert path.name in problems[0]
        path.write_bytes(whole)
    assert Store(home).verify() == []
