"""An answer as an archive that a third party checks offline: rows, query, payload bytes, hashes, and a verifier.

    row.parquet              the published row                rows/<table>.parquet   the rows that the query reads
    query.sql                over those files                 payload/<sha256>       the bytes as they were received
    printed.sql              whose printed text must stand    why.json  ABOUT.txt    the answer, terms and credit
                             in which payload                 MANIFEST.sha256        verify.py

The same warehouse gives the same bytes.
"""

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from include.answers.reader import _json, query
from include.answers.why import Locate
from include.answers.why.figures import Con, Figure, fetch, one_of
from include.answers.why.show import cell
from include.core import disk
from include.core.errors import ConfigError

_VERIFY = Path(__file__).with_name("verify.py.txt")
_PRINTED = """select distinct 'payload/' || payload_sha256, value_raw
from 'rows/fct_observation.parquet' where value_raw > ''
"""
_ABOUT = """{figure}
{column} = {value} ({table}, as known at {known})

Check it, with nothing but Python and the package `duckdb`:  python verify.py
It compares every file with MANIFEST.sha256, runs query.sql over rows/*.parquet, compares its answer with row.parquet,
and looks for each version's printed text in the bytes of the payload that it came from. It does not parse the payload:
that a printed text means its value is for the reader to see, side by side in rows/fct_observation.parquet. Whoever
rewrites everything in here, this check too, is told only by the archive's own sha256, which the command printed.

Figures belong to their publishers:
{terms}
"""


def kind_of(path: Path) -> str:
    """`zip` or `tar.gz` by the name; `ConfigError` for another, and for what is there and is not an ordinary file."""
    kind = "zip" if path.name.endswith(".zip") else "tar.gz" if path.name.endswith((".tar.gz", ".tgz")) else ""
    if not kind:
        raise _refusal(f"{path.name!r} is neither .zip nor .tar.gz", "give --bundle FILE.zip or FILE.tar.gz")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise _refusal(f"{path} is there and is not an ordinary file", "choose another --bundle")
    return kind


def write(con: Con, figure: Figure, answer: dict, locate: Locate, path: Path) -> str:
    """Write the bundle, whole or not at all, over an older one of that name. Returns the archive's sha256."""
    kind = kind_of(path)
    files = _files(con, figure, answer, locate)
    data = (_zip if kind == "zip" else _tar)(files)
    try:
        disk.write_over(path, data)
    except OSError as error:
        raise _refusal(f"cannot write {path}: {error.strerror}", "choose another --bundle") from None
    return hashlib.sha256(data).hexdigest()


def _refusal(message: str, action: str) -> ConfigError:
    return ConfigError(message, source="why", rule="why.bundle", action=action)


def _files(con: Con, figure: Figure, answer: dict, locate: Locate) -> dict[str, bytes]:
    """Every file of the bundle by its name."""
    slices = {"fct_observation": figure.slices.get("fct_observation") or "false", **figure.slices}
    files = {f"rows/{table}.parquet": _parquet(con, f"{_schema(figure, table)}.{table}", where)
             for table, where in slices.items()}  # fmt: skip
    files["row.parquet"] = _parquet(con, answer["table"], figure.where)
    sql = figure.query
    for table in slices:
        sql = sql.replace(f"{_schema(figure, table)}.{table}", f"'rows/{table}.parquet'")
    files["query.sql"] = f"{sql}\n".encode()
    files["printed.sql"] = _PRINTED.encode()
    versions = fetch(con, f"select distinct source_id, feed, payload_sha256 from marts.fct_observation "
                          f"where {slices['fct_observation']} order by all")  # fmt: skip
    for version in (*versions, *answer["inputs"]):
        landed = locate(version["source_id"], version["feed"], version["payload_sha256"])
        if landed is None:
            raise _refusal(f"payload {version['payload_sha256'][:16]} of {version['source_id']} is not in this landing "
                           "zone", "bundle where the bytes are kept")  # fmt: skip
        files[f"payload/{version['payload_sha256']}"] = landed.read()
    files["why.json"] = f"{_json(answer)}\n".encode()
    files["ABOUT.txt"] = _about(con, answer, {v["source_id"] for v in (*versions, *answer["inputs"])})
    files["verify.py"] = _VERIFY.read_bytes()
    manifest = (f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in sorted(files.items()))
    files["MANIFEST.sha256"] = "".join(manifest).encode()
    return dict(sorted(files.items()))


def _schema(figure: Figure, table: str) -> str:
    return figure.schema if table == figure.table else "marts"


def _parquet(con: Con, table: str, where: str) -> bytes:
    """Rows as Parquet, decimals exact, in a total order."""
    out = io.BytesIO()
    rows = query(con, f"select * from {table} where {where} order by all").to_arrow_table()
    pq.write_table(rows, out, compression="zstd", store_schema=False)
    return out.getvalue()


def _about(con: Con, answer: dict, sources: Iterable[str]) -> bytes:
    terms = fetch(con, f"select source_id, credit, licence from marts.dim_source where source_id "
                       f"{one_of(sorted(sources))} order by 1")  # fmt: skip
    lines = "\n".join(f"  {t['source_id']}: {t['credit']}; {t['licence']}" for t in terms)
    return _ABOUT.format(figure=answer["figure"], column=answer["column"], value=cell(answer["value"]),
                         table=answer["table"], known=cell(answer["as_known_at"]), terms=lines).encode()  # fmt: skip


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in files.items():
            entry = zipfile.ZipInfo(name)  # 1980, no owner: what makes two archives of one content equal
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, body, zipfile.ZIP_DEFLATED, 6)
    return out.getvalue()


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, body in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(body), 0o644
            archive.addfile(entry, io.BytesIO(body))
    return gzip.compress(out.getvalue(), mtime=0)
