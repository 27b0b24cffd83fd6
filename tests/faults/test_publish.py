"""Rows 43, 48, 50, 53, 54, 55, 66, 71 of the fault matrix: publish, rollback and verify of the served file."""

import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import struct
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from include.answers.reader import connect
from include.core.errors import CapmigError, IntegrityError, PublishError
from include.warehouse import publish as P
from tests.faults.steps import MODES, Steps

AT = datetime(2026, 1, 23, 3, 7, tzinfo=UTC)
STORAGE = ("include.core.disk", "include.core.duckfile", "include.warehouse.publish")


def build(home: Path, run: str, value: int, *, order: str = "ASC", wal: bool = False) -> Path:
    """A build directory with two marts and one ops table that all carry `value`."""
    directory = home / "build" / run
    directory.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(directory / P.FILE)) as con:
        if wal:
            con.execute("PRAGMA disable_checkpoint_on_shutdown")
        con.execute("CREATE SCHEMA marts; CREATE SCHEMA ops")
        for name in ("marts.flow", "marts.rate", "ops.run"):
            con.execute(
                f"CREATE TABLE {name} AS SELECT {value} AS version_id, i AS row_id, "
                f"CAST({value} * 1000 + i AS DECIMAL(38,18)) AS ratio, CAST(i + 0.1 AS DECIMAL(24,2)) AS amount_usd, "
                f"CASE WHEN i % 3 = 0 THEN NULL ELSE '{name} ' || i END AS note FROM range(20) t(i) ORDER BY i {order}"
            )
    return directory


def put(home: Path, value: int, keep: int = 5, **changes: object) -> P.Publication:
    """Build and publish version `value`."""
    run = f"run{value}"
    known = {"seq": P.next_seq(home), "run_id": run, "clock": AT + timedelta(days=value), "as_of": None, "meta": {}}
    return P.publish(home, build(home, run, value), keep=keep, **(known | changes))


def served_value(home: Path) -> int:
    """What a reader sees: one value in every table, or the test fails."""
    con = connect(P.served_file(home))
    try:
        union = " UNION ".join(f"SELECT version_id FROM {t}" for t in ("marts.flow", "marts.rate", "ops.run"))
        ((value,),) = con.execute(union).fetchall()
        return value
    finally:
        con.close()


def publish_second(home: Path) -> None:
    """The scenario of the fail-at-every-N loop: version 4 over 1 to 3, with a WAL to fold in and one to collect."""
    P.publish(home, home / "build" / "run4", seq=4, run_id="run4", clock=AT, as_of=AT, meta={"why": "test"}, keep=3)


def roll_back(home: Path) -> None:
    """Back from version 3 to version 2."""
    P.rollback(home)


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> Path:
    """A home with versions 1 to 3 published and a fourth build waiting."""
    home = tmp_path_factory.mktemp("three")
    for value in (1, 2, 3):
        put(home, value, keep=3)
    build(home, "run4", 4, wal=True)
    return home


def clone(home: Path, target: Path) -> Path:
    """A copy with the hard links kept as they are."""
    subprocess.run(["/bin/cp", "-a", str(home), str(target)], check=True)
    return target


def test_publish_serves_the_build_and_records_it(tmp_path):
    home = tmp_path
    done = put(home, 1, as_of=AT, meta={"gate": "passed"})
    assert (done.seq, done.run_id, done.as_of, done.meta) == (1, "run1", AT, {"gate": "passed"})
    assert done.published_at == AT + timedelta(days=1)
    assert done.rows == {"marts.flow": 20, "marts.rate": 20, "ops.run": 20}
    assert done == P.current(home)
    assert served_value(home) == 1
    assert done.hashes == P.marts_hash(P.served_file(home))
    assert P.verify(home) == []
    files = [p for p in done.path.rglob("*") if p.is_file()]
    assert len(files) == 6
    assert {p.stat().st_mode & 0o777 for p in files} == {0o444}
    subprocess.run(["/usr/bin/sha256sum", "--strict", "--quiet", "-c", P.MANIFEST], cwd=done.path, check=True)


def test_equal_rows_give_equal_parquet_and_one_changed_cell_does_not(tmp_path):
    one, other = build(tmp_path, "a", 7), build(tmp_path, "b", 7, order="DESC")
    before = P.marts_hash(one / P.FILE)
    assert (one / P.FILE).read_bytes() != (other / P.FILE).read_bytes()
    assert before == P.marts_hash(other / P.FILE)
    with duckdb.connect(str(other / P.FILE)) as con:
        con.execute("UPDATE marts.flow SET ratio = ratio + 0.000000000000000001 WHERE row_id = 4")
    after = P.marts_hash(other / P.FILE)
    assert after["rate"] == before["rate"]
    assert after["flow"] != before["flow"]


def test_row_48_killed_or_failed_at_every_step_the_served_file_is_old_or_new_and_whole(three, tmp_path):
    steps = Steps(f"{__name__}:publish_second", STORAGE)
    clean = steps.run(clone(three, tmp_path / "clean"))
    assert (clean.error, clean.killed) == ("", False)
    expected = P.current(tmp_path / "clean").hashes
    assert {"os.fsync", "os.replace", "os.rename", "shutil.rmtree", "duckdb.execute"} <= set(clean.calls)
    seen = set()
    for n, call in enumerate(clean.calls, 1):
        for mode in MODES if n % 4 == 0 else ("error", "kill"):
            home = clone(three, tmp_path / "point")
            outcome = steps.run(home, mode, n)
            point = f"{mode} at {n} of {len(clean.calls)}, {call}: {outcome.error}"
            assert outcome.killed == (mode == "kill"), point
            assert outcome.killed or outcome.error_type in ("PublishError", "IntegrityError"), point
            assert outcome.killed or re.fullmatch(r"publish: run run4: .+ \[[a-z_.]+\] -> .+", outcome.error), point
            value = served_value(home)
            seen.add(value)
            assert P.current(home).run_id == f"run{value}", point
            assert P.verify(home) == [], point
            publish_second(home)
            assert (served_value(home), P.current(home).hashes) == (4, expected), point
            assert [p.seq for p in P.versions(home)] == [2, 3, 4], point
            assert P.verify(home) == [], point
            assert not list(home.rglob(".tmp-*")), point
            assert not (home / "build" / "run4" / P.DRAFT).exists(), point
            shutil.rmtree(home)
    assert seen == {3, 4}


def test_row_48_rollback_fails_or_is_killed_at_every_step(three, tmp_path):
    steps = Steps(f"{__name__}:roll_back", STORAGE)
    total = len(steps.run(clone(three, tmp_path / "clean")).calls)
    for mode in MODES:
        for n in range(1, total + 1):
            home = clone(three, tmp_path / "point")
            outcome = steps.run(home, mode, n)
            assert outcome.killed or outcome.error, (mode, n)
            assert served_value(home) in (2, 3), (mode, n)
            P.rollback(home, 2)
            assert served_value(home) == 2
            assert P.verify(home) == []
            assert not list(home.rglob(".tmp-*")), (mode, n)
            shutil.rmtree(home)


def _publish_on_small_disk(home: Path, limit: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        publish_second(home)
    except PublishError as error:
        raise SystemExit(1) from error


@pytest.mark.parametrize("limit", [0, 200, 600])
def test_row_43_files_may_not_grow(three, tmp_path, limit):
    home = clone(three, tmp_path / "home")
    with duckdb.connect(str(home / "build" / "run4" / P.FILE)):
        pass
    child = multiprocessing.get_context("forkserver").Process(target=_publish_on_small_disk, args=(home, limit))
    child.start()
    child.join()
    assert child.exitcode == 1
    assert served_value(home) == 3
    publish_second(home)
    assert served_value(home) == 4
    assert P.verify(home) == []


def test_row_50_a_late_run_is_refused_once_another_has_published(three, tmp_path):
    home = clone(three, tmp_path / "home")
    late, quick = P.next_seq(home), P.next_seq(home)
    put(home, 5, seq=quick)
    before = P.current(home)
    with pytest.raises(PublishError, match=r"publish: run run6: version 4 was published .* \[publish.stale\]"):
        put(home, 6, seq=late)
    assert P.current(home) == before
    assert served_value(home) == 5


def _publish_own(home: Path, seq: int, run: str, start, queue) -> None:
    start.wait()
    try:
        P.publish(home, home / "build" / run, seq=seq, run_id=run, clock=AT, as_of=None, meta={}, keep=3)
        queue.put(run)
    except PublishError as error:
        queue.put(error.rule)


def test_row_51_of_five_runs_that_publish_at_once_one_wins(three, tmp_path):
    home = clone(three, tmp_path / "home")
    context = multiprocessing.get_context("forkserver")
    start, queue, seq = context.Barrier(5), context.Queue(), P.next_seq(home)
    runs = [build(home, f"run{value}", value).name for value in range(10, 15)]
    tries = [context.Process(target=_publish_own, args=(home, seq, run, start, queue)) for run in runs]
    for one in tries:
        one.start()
    said = [queue.get() for _ in tries]
    for one in tries:
        one.join()
    assert said.count("publish.stale") == 4
    (winner,) = set(said) - {"publish.stale"}
    assert (P.current(home).run_id, f"run{served_value(home)}") == (winner, winner)
    assert [p.seq for p in P.versions(home)] == [2, 3, 4]
    assert P.verify(home) == []


def test_a_step_that_is_tried_again_makes_no_second_version_and_never_writes_into_the_served_file(tmp_path):
    home = tmp_path
    first = put(home, 1)
    directory = home / "build" / "run1"
    known = {"run_id": "run1", "clock": AT, "as_of": None, "meta": {}, "keep": 3}
    with duckdb.connect(str(directory / P.FILE)) as con:
        con.execute("INSERT INTO ops.run SELECT * FROM ops.run")
    assert P.verify(home) == []
    assert P.publish(home, directory, seq=1, **known) == P.publish(home, directory, seq=2, **known) == first
    with duckdb.connect(str(directory / P.FILE)) as con:
        con.execute("UPDATE marts.flow SET amount_usd = 0")
    with pytest.raises(PublishError, match="publish.stale"):
        P.publish(home, directory, seq=1, **known)
    assert P.publish(home, directory, seq=2, **known).hashes["flow"] != first.hashes["flow"]
    assert [p.seq for p in P.versions(home)] == [1, 2]


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("CREATE VIEW marts.v AS SELECT 1 AS a", "publish.relations"),
        ("CREATE TABLE main.t AS SELECT 1 AS a", "publish.relations"),
        ('CREATE TABLE marts."../x" AS SELECT 1 AS a', "publish.relations"),
        ("DROP SCHEMA marts CASCADE", "publish.empty"),
    ],
)
def test_a_build_that_is_not_tables_of_marts_and_ops_is_refused(three, tmp_path, statement, rule):
    home = clone(three, tmp_path / "home")
    directory = build(home, "run9", 9)
    with duckdb.connect(str(directory / P.FILE)) as con:
        con.execute(statement)
    with pytest.raises(PublishError) as refused:
        P.publish(home, directory, seq=4, run_id="run9", clock=AT, as_of=None, meta={}, keep=3)
    assert refused.value.rule == rule
    assert served_value(home) == 3


def test_a_damaged_build_is_refused(three, tmp_path):
    home = clone(three, tmp_path / "home")
    file = build(home, "run9", 9) / P.FILE
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 1
    file.write_bytes(body)
    with pytest.raises((PublishError, IntegrityError), match="run9"):
        P.publish(home, file.parent, seq=4, run_id="run9", clock=AT, as_of=None, meta={}, keep=3)
    assert served_value(home) == 3


def _read_until(home: Path, stop, queue, total) -> None:
    reads, torn, backward, last = 0, 0, 0, 0
    errors = []
    while not stop.is_set():
        try:
            con = connect(P.served_file(home))
            first = con.execute("SELECT DISTINCT version_id FROM marts.flow").fetchall()
            second = con.execute("SELECT DISTINCT version_id FROM marts.rate").fetchall()
            con.close()
        except Exception as error:
            errors.append(str(error))
            continue
        reads += 1
        with total.get_lock():
            total.value += 1
        torn += first != second or len(first) != 1
        backward += first[0][0] < last
        last = first[0][0]
    queue.put((reads, torn, backward, errors))


def publish_under_readers(home: Path) -> tuple[list[float], list[tuple]]:
    """200 publishes while three processes read, five times a publish or more: seconds of each publish, and (reads, torn,
    backward, errors) of each reader."""
    put(home, 1)
    builds = [build(home, f"run{value}", value) for value in range(2, 202)]
    context = multiprocessing.get_context("forkserver")
    stop, queue, total, spent = context.Event(), context.Queue(), context.Value("i", 0), []
    readers = [context.Process(target=_read_until, args=(home, stop, queue, total)) for _ in range(3)]
    for reader in readers:
        reader.start()
    for seq, directory in enumerate(builds, 2):
        start = time.monotonic()
        P.publish(home, directory, seq=seq, run_id=directory.name, clock=AT, as_of=None, meta={}, keep=3)
        spent.append(time.monotonic() - start)
        until = time.monotonic() + 5
        while total.value < 5 * seq and time.monotonic() < until:
            time.sleep(0.001)
    stop.set()
    found = [queue.get() for _ in readers]
    for reader in readers:
        reader.join()
    return spent, found


def test_row_53_three_readers_see_whole_versions_while_200_are_published(tmp_path):
    _, found = publish_under_readers(tmp_path)
    assert [f[1:] for f in found] == [(0, 0, [])] * 3
    assert sum(f[0] for f in found) >= 1000


def test_rows_54_and_55_an_open_reader_keeps_its_version_and_a_new_one_sees_the_new(tmp_path):
    home = tmp_path
    put(home, 1, keep=3)
    held = connect(P.served_file(home))
    rows = held.execute("SELECT a.version_id FROM marts.flow a, marts.rate b, marts.rate c")
    assert rows.fetchone() == (1,)
    for value in range(2, 8):
        put(home, value, keep=3)
        assert served_value(home) == value  # in the process that still has the old file open
    assert [p.seq for p in P.versions(home)] == [5, 6, 7]  # the held one is collected
    assert {r[0] for r in rows.fetchall()} == {1}
    assert held.execute("SELECT DISTINCT version_id FROM ops.run").fetchall() == [(1,)]


def test_rollback_is_under_a_second_and_goes_back_step_by_step(three, tmp_path):
    home = clone(three, tmp_path / "home")
    start = time.monotonic()
    assert P.rollback(home).seq == 2
    assert time.monotonic() - start < 1
    assert served_value(home) == 2
    assert P.rollback(home).seq == 1
    with pytest.raises(PublishError, match="no earlier whole version"):
        P.rollback(home)
    assert P.rollback(home, 3).seq == P.current(home).seq == 3
    with pytest.raises(PublishError, match="there is no version 9 .* choose one of 1, 2, 3"):
        P.rollback(home, 9)
    assert P.verify(home) == []


def test_the_served_version_outlives_its_turn(three, tmp_path):
    home = clone(three, tmp_path / "home")
    P.rollback(home, 1)
    P._collect(home, 1)
    assert [p.seq for p in P.versions(home)] == [1, 3]
    assert served_value(home) == 1


def test_row_66_every_flipped_bit_is_found_and_the_last_whole_version_is_served(three, tmp_path):
    home = clone(three, tmp_path / "home")
    chance = random.Random(66)  # noqa: S311
    files = sorted(p for p in P.serve_dir(home).rglob("*") if p.is_file() and p.name != "publish.lock")
    for _ in range(200):
        file = chance.choice(files)
        body = bytearray(file.read_bytes())
        at = chance.randrange(len(body) * 8)
        body[at // 8] ^= 1 << (at % 8)
        _write_in_place(file, body)
        assert P.verify(home), (file, at)
        body[at // 8] ^= 1 << (at % 8)
        _write_in_place(file, body)
    assert P.verify(home) == []


def _write_in_place(file: Path, body: bytes) -> None:
    with file.open("r+b") as out:
        out.truncate(len(body))
        out.write(body)


def _flip(file: Path) -> None:
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 1
    _write_in_place(file, body)


def _swap(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def _swap_served_for_older(home: Path) -> None:
    body = (home / "serve/v1" / P.FILE).read_bytes()[:-1]
    P.served_file(home).unlink()
    P.served_file(home).write_bytes(body)


DAMAGE = {
    "flipped": (lambda home: _flip(P.served_file(home)), 2),
    "truncated": (lambda home: os.truncate(P.served_file(home), 4096), 2),
    "zeroed": (lambda home: _write_in_place(P.served_file(home), bytes(4096)), 2),
    "empty": (lambda home: os.truncate(P.served_file(home), 0), 2),
    "gone": (lambda home: P.served_file(home).unlink(), 3),
    "replaced": (_swap_served_for_older, 3),
    "mart": (lambda home: _flip(home / "serve/v3/marts/flow.parquet"), 2),
    "marts swapped": (
        lambda home: _swap(home / "serve/v3/marts/flow.parquet", home / "serve/v3/marts/rate.parquet"),
        2,
    ),
    "versions swapped": (lambda home: _swap(home / "serve/v3", home / "serve/v2"), 1),
    "manifest": (lambda home: _flip(home / "serve/v3" / P.MANIFEST), 2),
    "record": (lambda home: _flip(home / "serve/v3" / P.RECORD), 2),
    "mart gone": (lambda home: (home / "serve/v3/marts/flow.parquet").unlink(), 2),
    "foreign file": (lambda home: (home / "serve/v3/marts/extra.parquet").write_bytes(b"x"), 2),
    "wal": (lambda home: (home / "serve/warehouse.duckdb.wal").write_bytes(b"not a log"), 3),
    "two newest": (lambda home: [_flip(home / f"serve/v{n}" / P.FILE) for n in (2, 3)], 1),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_row_66_damage_is_named_and_the_previous_version_served(three, tmp_path, kind):
    home = clone(three, tmp_path / "home")
    damage, serves = DAMAGE[kind]
    damage(home)
    assert P.verify(home)
    assert P.restore_good(home).seq == serves
    assert served_value(home) == serves
    assert not any(name.startswith(f"serve/{P.FILE}") for name in P.verify(home))
    put(home, 8)
    assert served_value(home) == 8


def test_restore_good_leaves_a_whole_version_and_never_goes_forward_past_a_rollback(three, tmp_path):
    home = clone(three, tmp_path / "home")
    P.rollback(home, 2)
    assert P.restore_good(home).seq == 2
    _flip(P.served_file(home))
    assert P.restore_good(home).seq == 1
    assert P.restore_good(tmp_path / "nothing") is None


def test_a_damaged_version_is_not_rolled_back_to(three, tmp_path):
    home = clone(three, tmp_path / "home")
    _flip(home / "serve/v2/marts/rate.parquet")
    with pytest.raises(PublishError, match=r"version 2 is damaged: marts/rate.parquet"):
        P.rollback(home, 2)
    assert P.rollback(home).seq == 1


def test_a_warehouse_copied_without_its_links_still_knows_its_version(three, tmp_path):
    home = shutil.copytree(three, tmp_path / "copy")
    assert P.current(home).seq == 3
    assert P.verify(home) == []


def written_by_newer(file: Path) -> None:
    """Make a file's header what a newer DuckDB would write, checksum included."""
    body = bytearray(file.read_bytes())
    body[12:20] = struct.pack("<Q", 99)
    body[52:84] = b"v9.0.0".ljust(32, b"\0")
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", body[8:4096]):
        checksum ^= word * 0xBF58476D1CE4E5B9 & (2**64 - 1)
    body[:8] = struct.pack("<Q", checksum)
    _write_in_place(file, body)


def test_row_71_a_file_of_a_newer_duckdb_is_refused_with_both_versions(three, tmp_path):
    home = clone(three, tmp_path / "home")
    written_by_newer(P.served_file(home))
    with pytest.raises(IntegrityError) as refused:
        connect(P.served_file(home))
    line = str(refused.value)
    assert "v9.0.0 (storage 99)" in line
    assert f"v{duckdb.__version__}" in line
    assert refused.value.rule == "serve.storage_version"


def test_row_71_rollback_to_a_version_of_a_newer_duckdb_is_refused(three, tmp_path):
    home = clone(three, tmp_path / "home")
    version = home / "serve/v2"
    written_by_newer(version / P.FILE)
    (version / P.MANIFEST).unlink()
    (version / P.MANIFEST).write_bytes(P._manifest(version))
    with pytest.raises(IntegrityError, match="v9.0.0"):
        P.rollback(home, 2)
    assert served_value(home) == 3


def test_a_busy_lock_is_reported(three, tmp_path, monkeypatch):
    home = clone(three, tmp_path / "home")
    monkeypatch.setattr(P, "LOCK_WAIT_S", 0.1)
    with P._locked(home), pytest.raises(CapmigError, match="publish.locked"):
        P.rollback(home)


def test_the_record_is_json_that_another_tool_can_read(three):
    record = json.loads((three / "serve/v2" / P.RECORD).read_bytes())
    assert record["published_at"] == "2026-01-25T03:07:00.000000Z"
    assert record["duckdb"] == f"v{duckdb.__version__}"
    assert record["rows"]["marts.flow"] == 20
