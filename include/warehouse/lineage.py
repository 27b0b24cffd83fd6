"""What a publish was made of, as OpenLineage run events: feeds in, marts out, each mart with the hash of its rows."""

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from filelock import FileLock

from include.core import disk
from include.core.clock import iso
from include.warehouse.publish import Publication

PRODUCER = "https://github.com/capital-migration/warehouse"
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
VERSION = "https://openlineage.io/spec/facets/1-0-0/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet"
NAMESPACE = "capital-migration"
log = logging.getLogger("capmig.pipeline")


def events(published: Publication, asked: Iterable[tuple[str, str]]) -> list[dict]:
    """START and COMPLETE of one publish, equal for equal runs; `asked` are (base URL, feed) of what has landed."""
    facet = {"_producer": PRODUCER, "_schemaURL": VERSION}
    base = {
        "eventTime": iso(published.published_at), "producer": PRODUCER, "schemaURL": SCHEMA,
        "run": {"runId": str(uuid5(NAMESPACE_URL, f"{NAMESPACE}/{published.run_id}"))},
        "job": {"namespace": NAMESPACE, "name": "publish"},
        "inputs": [{"namespace": url, "name": feed} for url, feed in asked],
    }  # fmt: skip
    outputs = [
        {"namespace": NAMESPACE, "name": f"marts.{name}", "facets": {"version": facet | {"datasetVersion": sha256}}}
        for name, sha256 in sorted(published.hashes.items())
    ]
    return [base | {"eventType": "START", "outputs": []}, base | {"eventType": "COMPLETE", "outputs": outputs}]


def write(path: Path, said: list[dict]) -> None:
    """Append the events, a line each, unless they stand there already. A disk that refuses is logged, no more."""
    lines = [json.dumps(event, sort_keys=True) for event in said]
    try:
        disk.make_dir(path.parent.absolute())
        with FileLock(f"{path}.lock", timeout=30):
            known = set(path.read_text(encoding="utf-8").splitlines()) if path.exists() else set()
            disk.append_lines(path, [line for line in lines if line not in known])
    except (OSError, UnicodeDecodeError) as error:  # lineage must not make a publish fail
        log.warning("no lineage was written: %s", error)
