"""Publish, roll back, verify. What readers open is `serve/warehouse.duckdb`, and it is only ever replaced as a whole.

A version is `serve/v<seq>/`: the DuckDB file, a Parquet file per table, `publication.json` and `MANIFEST.sha256`.
It is made complete in the run's own build directory and moved in by one rename, so a listed version is a whole one.
The served file is a hard link of a version's file: there is no second pointer that could disagree with it.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from filelock import FileLock, Timeout

from include.core import disk
from include.core.clock import iso, parse_instant
from include.core.duckfile import attach, first_line, written_by
from include.core.errors import CapmigError, PublishError

FILE, MANIFEST, RECORD, DRAFT = "warehouse.duckdb", "MANIFEST.sha256", "publication.json", "publish"
SCHEMAS = ("marts", "ops")
LOCK_WAIT_S = 60
_TABLE = re.compile(r"[a-z][a-z0-9_]*")
_VERSION = re.compile(r"v([1-9]\d*)")
# Every option that shapes the bytes is said: equal rows give an equal file.
_PARQUET = "FORMAT parquet, PARQUET_VERSION v1, COMPRESSION zstd, COMPRESSION_LEVEL 3, ROW_GROUP_SIZE 122880"


@dataclass(frozen=True, slots=True)
class Publication:
    """A published version. `hashes`: sha256 of the canonical Parquet of each mart; `rows`: by `schema.table`."""

    seq: int
    run_id: str
    published_at: datetime
    as_of: datetime | None
    hashes: dict[str, str]
    rows: dict[str, int]
    meta: dict
    path: Path


def serve_dir(home: Path) -> Path:
    """Where versions and the served file live."""
    return home / "serve"


def served_file(home: Path) -> Path:
    """The file that readers open."""
    return serve_dir(home) / FILE


def versions(home: Path) -> list[Publication]:
    """Kept versions, oldest first. One whose record cannot be read is left out; `verify` names it."""
    found = (_record(seq, path) for seq, path in sorted(_directories(home).items()))
    return [p for p in found if p]


def current(home: Path) -> Publication | None:
    """The version that is served: the one whose file it is, else whose bytes. None if it is none of those kept."""
    served = _inode(served_file(home))  # taken before the list: a version is listed before it is served
    if served is None:
        return None
    kept = versions(home)[::-1]
    for publication in kept:
        if _inode(publication.path / FILE) == served:
            return publication
    digest = _sha256(served_file(home))  # links are lost when a warehouse is copied to another disk
    return next((p for p in kept if _listed(p.path).get(FILE) == digest), None)


def next_seq(home: Path) -> int:
    """The fencing number for a run that starts now. A publish under it is refused once another run has published."""
    with _reported("next version"), _locked(home):
        return _newest(home) + 1


def marts_hash(db_path: Path) -> dict[str, str]:
    """sha256 of the canonical Parquet of each mart, by table name: equal for equal rows, in whatever order."""
    with _reported("hash"), TemporaryDirectory() as scratch:
        disk.make_dir(Path(scratch, "marts"))
        _write_parquet(db_path, Path(scratch), ("marts",))
        return _hashes(Path(scratch))


def publish(
    home: Path,
    build_dir: Path,
    *,
    seq: int,
    run_id: str,
    clock: datetime,
    as_of: datetime | None,
    meta: dict,
    keep: int,
) -> Publication:
    """Make `build_dir/warehouse.duckdb` the served version `seq` and keep the newest `keep` versions.

    `clock` is the run's instant, `meta` whatever JSON should be kept with the version. Publishing a run again finishes
    or repeats its publish and makes no second version of equal marts. The version holds a copy of the build's file, so
    that a step that is tried again may go on writing its own.
    Raises `PublishError`, with a whole version served: if another run has published since `next_seq`, if the file is
    more or less than tables in `marts` and `ops`, or if the disk refuses; `IntegrityError` if it cannot be read.
    """
    said = {"seq": seq, "run_id": run_id, "published_at": iso(clock), "as_of": as_of and iso(as_of), "meta": meta}
    with _reported(f"run {run_id}"):
        disk.sweep_temps(build_dir)
        _settle(build_dir / FILE)
        draft = _draft(build_dir, said)
        with _locked(home):
            disk.sweep_temps(serve_dir(home))
            path = _own_version(home, run_id, _hashes(draft))
            if path:
                disk.remove_tree(draft)
            else:
                _refuse_stale(home, seq)
                path = serve_dir(home) / f"v{seq}"
                disk.move(draft, path)
            _serve(home, path)
            _collect(home, keep)
        return _known(path)


def place(home: Path, seq: int, name: str, data: bytes) -> bool:
    """Put `serve/<name>`, made from version `seq`, beside the served file, as a whole. False if another is served.

    Making it may take long, so the caller does that outside the lock; a later publish is not overtaken by it.
    """
    with _reported(name), _locked(home):
        served = current(home)
        if served is None or served.seq != seq:
            return False
        path = serve_dir(home) / name
        disk.make_dir(path.parent)
        if not path.is_file() or path.read_bytes() != data:
            disk.write_over(path, data)
        return True


def rollback(home: Path, seq: int | None = None) -> Publication:
    """Serve version `seq`, or the newest whole one before the served. Raises `PublishError` if there is none."""
    with _reported("rollback"), _locked(home):
        disk.sweep_temps(serve_dir(home))
        kept = _directories(home)
        if seq is None:
            served = current(home)
            older = [n for n in sorted(kept, reverse=True) if served is None or n < served.seq]
            seq = next((n for n in older if not _damaged(kept[n])), None)
        if seq not in kept:
            named = "no earlier whole version" if seq is None else f"no version {seq}"
            choice = ", ".join(map(str, sorted(kept))) or "none: publish first"
            raise PublishError(f"there is {named}", rule="rollback.missing", action=f"choose one of {choice}")
        if damaged := _damaged(kept[seq]):
            raise PublishError(f"version {seq} is damaged: {', '.join(damaged)}", rule="rollback.damaged",
                               action="choose another version, or rebuild with `capmig build`")  # fmt: skip
        with closing(duckdb.connect()) as con:
            attach(con, kept[seq] / FILE, "version")
        _serve(home, kept[seq])
        return _known(kept[seq])


def verify(home: Path) -> list[str]:
    """Files under `serve/` that are damaged, missing or foreign, relative to `home`. Empty: all is as published."""
    with _reported("verify"), _locked(home):
        kept = _directories(home)
        damaged = [f"serve/{path.name}/{name}" for _, path in sorted(kept.items()) for name in _damaged(path)]
        if (kept or served_file(home).exists()) and not is_whole(home):
            damaged.append(f"serve/{FILE}")
        if _wal(served_file(home)).exists():
            damaged.append(f"serve/{FILE}.wal")
        return damaged


def is_whole(home: Path) -> bool:
    """Whether the served file is, byte for byte, that of a kept version."""
    served = served_file(home)
    if not served.is_file():
        return False
    digest = _sha256(served)
    return any(_listed(path).get(FILE) == digest for path in _directories(home).values())


def restore_good(home: Path) -> Publication | None:
    """Leave the served version if it is whole, else serve the newest whole one before it. None if there is none."""
    with _reported("restore"), _locked(home):
        disk.sweep_temps(serve_dir(home))
        kept, served = _directories(home), current(home)
        last = served.seq if served else _newest(home)
        # Versions after the served one were rolled back by somebody: they come last.
        for seq in sorted(kept, key=lambda n: (n > last, -n)):
            if not _damaged(kept[seq]):
                if served is None or served.seq != seq or _wal(served_file(home)).exists():
                    _serve(home, kept[seq])
                return _known(kept[seq])
        return None


# The draft of a version, in the build directory


def _settle(file: Path) -> None:
    """Fold what a writer left beside its file into it."""
    if not file.is_file():
        raise PublishError(f"there is no {FILE} to publish", rule="publish.missing", action="run `capmig build` first")
    if _wal(file).exists():
        with closing(duckdb.connect(str(file))) as con:
            con.execute("CHECKPOINT")


def _draft(build_dir: Path, said: dict) -> Path:
    """Write a complete version under `build_dir`, every byte of it durable."""
    draft = build_dir / DRAFT
    file = draft / FILE
    if draft.exists():
        disk.remove_tree(draft)
    for directory in (draft, *(draft / schema for schema in SCHEMAS)):
        disk.make_dir(directory)
    disk.copy_new(build_dir / FILE, file)
    rows = _write_parquet(file, draft, SCHEMAS)
    for parquet in sorted(draft.rglob("*.parquet")):
        disk.seal(parquet)
    record = said | {"duckdb": written_by(file), "hashes": _hashes(draft), "rows": rows}
    disk.write_new(draft / RECORD, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    disk.write_new(draft / MANIFEST, _manifest(draft))
    for directory in (*(draft / schema for schema in SCHEMAS), draft):
        disk.fsync_dir(directory)
    return draft


def _write_parquet(file: Path, target: Path, schemas: tuple[str, ...]) -> dict[str, int]:
    """Write `<target>/<schema>/<table>.parquet` in a total order; the rows written, by `schema.table`.

    Every block of every table is read on the way, so a file whose checksums fail is found here.
    """
    rows = {}
    settings = {"threads": 1, "temp_directory": str(target.parent / ".tmp-spill")}
    with closing(duckdb.connect(":memory:", config=settings)) as con:
        attach(con, file, "built")
        for schema, table in _tables(con):
            if schema in schemas:
                path = str(target / schema / f"{table}.parquet").replace("'", "''")
                ordered = f'SELECT * FROM built."{schema}"."{table}" ORDER BY ALL ASC NULLS LAST'
                rows[f"{schema}.{table}"] = con.execute(f"COPY ({ordered}) TO '{path}' ({_PARQUET})").fetchone()[0]
    return rows


def _tables(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """The (schema, table) of the attached build; anything but tables in `marts` and `ops` is refused."""
    relations = con.execute(
        "SELECT schema_name, table_name, false FROM duckdb_tables() WHERE database_name = 'built' "
        "UNION ALL SELECT schema_name, view_name, true FROM duckdb_views() "
        "WHERE database_name = 'built' AND NOT internal ORDER BY ALL"
    ).fetchall()
    for schema, table, is_view in relations:
        if is_view or schema not in SCHEMAS or not _TABLE.fullmatch(table):
            raise PublishError(f"{schema}.{table} is not a table of marts or ops", rule="publish.relations",
                               action="build views and other schemas into scratch.duckdb")  # fmt: skip
    if not any(schema == "marts" for schema, *_ in relations):
        raise PublishError("there is no table in marts", rule="publish.empty", action="look at the build's log")
    return [(schema, table) for schema, table, _ in relations]


# The moves, under the lock


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    disk.make_dir(serve_dir(home))
    try:
        with FileLock(serve_dir(home) / "publish.lock", timeout=LOCK_WAIT_S):
            yield
    except Timeout:
        raise PublishError(
            f"another publish has held the lock for {LOCK_WAIT_S} s",
            rule="publish.locked",
            action="wait for it, or end the process that holds serve/publish.lock",
        ) from None


def _refuse_stale(home: Path, seq: int) -> None:
    if seq <= (newest := _newest(home)):
        raise PublishError(f"version {newest} was published after this run took number {seq}", rule="publish.stale",
                           action="nothing to repair: run again if its figures are still wanted")  # fmt: skip


def _own_version(home: Path, run_id: str, hashes: dict[str, str]) -> Path | None:
    """The newest version, if this run made it of these marts: it was stopped before it could say so."""
    newest = _newest(home)
    path = serve_dir(home) / f"v{newest}"
    own = newest and _record(newest, path)
    return path if own and (own.run_id, own.hashes) == (run_id, hashes) and not _damaged(path) else None


def _serve(home: Path, path: Path) -> None:
    # A foreign write-ahead log beside the fixed name would be replayed into the next file.
    disk.remove_file(_wal(served_file(home)))
    disk.link_over(path / FILE, served_file(home))


def _collect(home: Path, keep: int) -> None:
    kept, served = _directories(home), current(home)
    for seq in sorted(kept)[:-keep]:
        if served is None or seq != served.seq:
            disk.remove_tree(kept[seq])


# Reading what stands in serve/


def _directories(home: Path) -> dict[int, Path]:
    found = ((_VERSION.fullmatch(p.name), p) for p in serve_dir(home).glob("v*"))
    return {int(match[1]): path for match, path in found if match}


def _newest(home: Path) -> int:
    return max(_directories(home), default=0)


def _known(path: Path) -> Publication:
    publication = _record(int(path.name[1:]), path)
    if publication is None:
        raise PublishError(f"{path.name}/{RECORD} cannot be read back", rule="publish.record",
                           action="run `capmig status --verify`")  # fmt: skip
    return publication


def _record(seq: int, path: Path) -> Publication | None:
    try:
        said = json.loads((path / RECORD).read_bytes())
        as_of = parse_instant(said["as_of"]) if said["as_of"] else None
        known = Publication(said["seq"], said["run_id"], parse_instant(said["published_at"]), as_of,
                            said["hashes"], said["rows"], said["meta"], path)  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError, CapmigError):
        return None
    return known if known.seq == seq else None


def _manifest(path: Path) -> bytes:
    """The text of `MANIFEST.sha256` for what stands in a version's directory, as `sha256sum -c` reads it."""
    files = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file() and p.name != MANIFEST)
    return "".join(f"{_sha256(path / name)}  {name}\n" for name in files).encode()


def _damaged(path: Path) -> list[str]:
    """Names in a version that are not as published. The manifest is compared byte for byte: it guards itself too."""
    manifest = path / MANIFEST
    said, found = manifest.read_bytes() if manifest.is_file() else b"", _manifest(path)
    if said == found and _VERSION.fullmatch(path.name) and _record(int(path.name[1:]), path):
        return []
    differing = set(said.splitlines()) ^ set(found.splitlines())
    names = {line[66:].decode("utf-8", "replace") for line in differing if line[66:]}
    return sorted(names) or [MANIFEST if said != found else RECORD]


def _listed(path: Path) -> dict[str, str]:
    """What a version's manifest says: sha256 by name."""
    try:
        lines = (path / MANIFEST).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    return {line[66:]: line[:64] for line in lines}


def _hashes(path: Path) -> dict[str, str]:
    return {p.stem: _sha256(p) for p in sorted((path / "marts").glob("*.parquet"))}


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _wal(file: Path) -> Path:
    return file.with_name(f"{file.name}.wal")


@contextmanager
def _reported(who: str) -> Iterator[None]:
    """Name the run in every failure, and turn those of the disk and of DuckDB into one line."""
    try:
        yield
    except CapmigError as error:
        raise type(error)(f"{who}: {error.message}", source="publish", rule=error.rule, action=error.action) from None
    except OSError as error:
        raise PublishError(
            f"{who}: {error.strerror or type(error).__name__}",
            source="publish",
            rule="publish.disk",
            action="free or repair the disk of WAREHOUSE_HOME and run again; what is served is whole",
        ) from error
    except duckdb.Error as error:
        raise PublishError(
            f"{who}: {first_line(error)}",
            source="publish",
            rule="publish.engine",
            action="look at the build's log and build again; what is served is whole",
        ) from error
