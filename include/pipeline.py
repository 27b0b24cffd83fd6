"""The steps as plain functions: what an Airflow task calls is what the command line and the tests call.

land    fetch or take in a feed's bytes, durably, then derive its rows (landing/land.py)
build   dbt over a frozen set of row files, into build/<run_id>/
check   the gate: labels, holds (one rebuild if there are new ones), or a refusal
publish swap the served file and keep the version
"""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from include.answers import status
from include.answers.why import Landed, Locate
from include.core import disk
from include.core.clock import iso, parse_instant, stamp
from include.core.errors import CapmigError, ConfigError, GateRefused, PublishError
from include.core.source import Window
from include.landing import backfills, inbox, runs
from include.landing.land import land
from include.landing.store import ACCEPTED, Attempt, Store, outcome_rows
from include.settings import Settings, disabled
from include.sources import feeds, find_feed, registry
from include.warehouse import build as builds
from include.warehouse import gates, holds, journal, lineage, publish
from include.warehouse.build import Build

REPORT = "report/index.html"  # under serve/
STATUS, BADGE = "status.json", "badge.svg"  # the same
BEAT_EVERY = timedelta(minutes=5)  # the canary's; silent for three of them is an alarm
REBUILDS = 4  # a figure may hide another bad one that it had superseded
Progress = Callable[[str], None]
log = logging.getLogger("capmig.pipeline")


def quiet(_: str) -> None:
    """Report progress to nobody."""


# Build, check, publish. Between two steps everything that matters stands in build/<run_id>/, so that each step may run
# in a process of its own.


def _tables(home: Path) -> dict[str, list[dict]]:
    """The run's own tables that a build freezes beside the rows."""
    return {
        "hold": holds.rows(home),
        "fetch_outcome": outcome_rows(attempts_of(home)),
        "asked": [{"source_id": source, "feed": feed} for source, feed in Store(home).feeds()],
    } | {name: journal.rows(home, name) for name in journal.NAMES}


def build_step(settings: Settings, run_id: str, *, progress: Progress = quiet) -> dict | None:
    """Build a candidate. None if nothing that decides a figure or an outcome has changed since the served version."""
    home = settings.home
    builds.sweep(home)
    # a version keeps its number though the served directory was lost
    seq = max([publish.next_seq(home), *(row["seq"] + 1 for row in journal.rows(home, "publication"))])
    served = publish.current(home)
    made = _prepare(settings, run_id)
    if served and served.meta.get("input_hash") == made.input_hash and publish.is_whole(home):
        shutil.rmtree(made.path)
        return None
    return _make(settings, made, seq, progress)


def _prepare(settings: Settings, run_id: str, as_of: datetime | None = None) -> Build:
    sources = list(registry().values())
    for source, feed in feeds():
        # rows that were never derived, or were lost or cut: everything can be rebuilt from what landed
        if not runs.is_whole(settings.home, source, feed):
            with Store(settings.home).lock(source.source_id, feed.name):
                runs.derive(settings.home, source, feed, settings.clock)
    return builds.prepare(
        settings.home, sources, run_id=run_id, clock=settings.clock, as_of=as_of, tables=_tables(settings.home)
    )


def _make(settings: Settings, made: Build, seq: int, progress: Progress) -> dict:
    done: list[str] = []

    def on_node(data: object) -> None:
        done.append(data.node_info.node_name)
        progress(f"dbt: {len(done)} models and tests, {done[-1]}")

    model_runs = builds.make(made, threads=settings.threads, on_node=on_node)
    state = {"run_id": made.run_id, "seq": seq, "input_hash": made.input_hash, "clock": iso(made.clock)}
    (made.path / "state.json").write_text(json.dumps(state), encoding="utf-8")
    builds.write_table(made.path / "inputs" / "model_run.parquet", "model_run",
                       journal.rows(settings.home, "model_run") + model_runs)  # fmt: skip
    return state


def _reopen(settings: Settings, run_id: str) -> tuple[Build, dict]:
    path = settings.home / "build" / run_id
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    except OSError:
        raise PublishError(
            f"there is no finished build {run_id}", rule="B.missing", action="run `capmig build`"
        ) from None
    return Build(run_id, path, parse_instant(state["clock"]), None, state["input_hash"]), state


def check_step(settings: Settings, run_id: str, *, progress: Progress = quiet) -> dict:
    """Gate a candidate. New holds rebuild it: once, or as often as what stands behind a held figure is held too.

    `GateRefused` if it may not be published.
    """
    made, state = _reopen(settings, run_id)
    report = gates.check(made, holds_active=holds.active(settings.home))
    found: dict[tuple, dict] = {}
    for _ in range(REBUILDS):
        if report.refused or not report.new_holds:
            break
        # what was withheld stays in the record of the run that withheld it
        found |= {_named(r): r for r in report.results if r["outcome"] == "hold"}
        holds.add(settings.home, report.new_holds, settings.clock)
        progress(f"gate: {len(report.new_holds)} figures held, building once more")
        made = _prepare(settings, run_id)
        state = _make(settings, made, state["seq"], progress)
        report = gates.check(made, holds_active=holds.active(settings.home))
    report.results[:] = [r for r in report.results if _named(r) not in found] + list(found.values())
    rows = [r for r in journal.rows(settings.home, "gate_result") if r["run_id"] != run_id]  # of other runs
    builds.write_table(made.path / "inputs" / "gate_result.parquet", "gate_result", rows + report.results)
    (made.path / "gate.txt").write_text("\n".join(gates.as_table(report)), encoding="utf-8")
    if report.refused or report.new_holds:
        journal.append(settings.home, "gate_result", report.results)
        first = next((r for r in report.results if r["outcome"] in ("refuse", "hold")), report.results[0])
        raise GateRefused(f"{first['check_name']}: {first['evidence']}"[:300], source=str(first["subject"]),
                          rule=str(first["rule_id"]),
                          action="nothing was published, the last good version stays; see the runbook build_warehouse",
                          )  # fmt: skip
    return {"run_id": run_id, "n_labels": report.n_labels, "n_holds": len(holds.active(settings.home)),
            "evaluated": report.evaluated}  # fmt: skip


def _named(result: dict) -> tuple:
    return result["rule_id"], result["check_name"], result["subject"]


def publish_step(settings: Settings, run_id: str) -> dict:
    """Write the run's own record into `ops`, then swap the served file."""
    made, state = _reopen(settings, run_id)
    home = settings.home
    results = [r for r in _frozen(made, "gate_result") if r["run_id"] == run_id]
    if not results:
        raise GateRefused("the candidate was not checked", rule="G0.unchecked", action="run the check step first")
    ((cutoff_at, newest),) = builds.query(made.scratch, "select any_value(cutoff_at), (select max(known_from) "
                                          "from ledger.observation_known) from ledger.cutoff")  # fmt: skip
    hashes = publish.marts_hash(made.warehouse)
    publication = {
        "seq": state["seq"], "run_id": run_id, "published_at": made.clock, "cutoff_at": cutoff_at,
        "code_sha256": builds.code_hash(), "input_hash": state["input_hash"],
        "marts_hash": hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest(),
        "newest_known_from": newest, "n_labels": sum(r["outcome"] == "label" for r in results),
        "n_holds": len(holds.active(home)),
    }  # fmt: skip
    before = [r for r in journal.rows(home, "publication") if r["run_id"] != run_id]
    builds.write_table(made.path / "inputs" / "publication.parquet", "publication", [*before, publication])
    builds.run_dbt(made, ["run", "--select", "path:models/ops"], threads=settings.threads)
    meta = {k: publication[k] for k in ("input_hash", "code_sha256", "marts_hash")} | {"cutoff_at": iso(cutoff_at)}
    published = publish.publish(home, made.path, seq=state["seq"], run_id=run_id, clock=made.clock, as_of=None,
                                meta=meta, keep=settings.keep_versions)  # fmt: skip
    journal.append(home, "gate_result", results)
    journal.append(home, "publication", [publication])
    journal.append(home, "model_run", [r for r in _frozen(made, "model_run") if r["run_id"] == run_id])
    report_step(settings)
    status_step(settings)
    if settings.lineage_file:
        asked = [(s.base_url, f.name) for s, f in feeds() if Store(home).last_accepted(s.source_id, f.name)]
        lineage.write(settings.lineage_file, lineage.events(published, asked))
    return {"run_id": run_id, "seq": published.seq, "marts_hash": publication["marts_hash"]}


def report_step(settings: Settings) -> bool:
    """Rebuild `serve/report/index.html` of the served version. False if it could not be: told by `run` and in `ops`.

    It comes after the swap and never raises: what is published stays published, and an old page says its own age.
    """
    home = settings.home
    served = publish.current(home)
    if served is None:
        return False
    try:
        from include.answers import report  # charts take long to import

        page = report.page(served.path / publish.FILE, cache=home / "build" / "cache")
        return publish.place(home, served.seq, REPORT, page)
    except Exception as error:  # whatever is wrong with a page must not become a failed publish
        why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        said = {"run_id": served.run_id, "rule_id": "G0.report", "check_name": "the_report_is_of_this_version",
                "subject": REPORT, "outcome": "label", "evidence": why, "n_evaluated": 1,
                "n_failed": 1, "owner": "operator", "checked_at": settings.clock}  # fmt: skip
        with suppress(OSError, CapmigError):
            key = {k: said[k] for k in ("run_id", "rule_id", "check_name", "subject")}
            if not any(key.items() <= r.items() for r in journal.rows(home, "gate_result")):  # one result a run
                journal.append(home, "gate_result", [said])
        return False


def status_step(settings: Settings, at: datetime | None = None) -> bool:
    """Write `serve/status.json` and the badge of the served version. False if they could not be; never raises.

    The canary is judged at `at`, else at the instant of the publication: so the same version gives the same bytes.
    """
    home = settings.home
    try:
        served = publish.current(home)
        if served is None:
            return False
        said = status.machine(served.path / publish.FILE, canary(home, at or served.published_at))
        placed = publish.place(home, served.seq, STATUS, said)
        return placed and publish.place(home, served.seq, BADGE, status.badge(said))
    except Exception as error:  # a monitor's file must not make a publish fail
        log.warning("status.json was not written: %s: %s", type(error).__name__, error)
        return False


def beat(settings: Settings) -> str:
    """The canary's heartbeat: a task ran at this instant. Returns it."""
    disk.make_dir(settings.home)
    disk.write_over(settings.home / "heartbeat", f"{iso(settings.clock)}\n".encode())
    return iso(settings.clock)


def canary(home: Path, at: datetime, *, up_since: datetime | None = None) -> dict | None:
    """When a scheduled task last ran, its age in seconds at `at`, and whether that is too long ago.

    None if none ever ran here, unless a scheduler is known to be up since `up_since`.
    """
    beat_at = None
    with suppress(OSError, ValueError, CapmigError):
        beat_at = parse_instant((home / "heartbeat").read_text(encoding="utf-8"))
    since = max((instant for instant in (beat_at, up_since) if instant), default=None)
    if since is None:
        return None
    age = max(at - since, timedelta(0))
    return {"beat_at": beat_at and iso(beat_at), "judged_at": iso(at), "age_s": int(age.total_seconds()),
            "stale": age > 3 * BEAT_EVERY}  # fmt: skip


def canary_line(settings: Settings) -> str:
    """The canary in one line for a terminal; "" where no scheduler ever ran."""
    state = canary(settings.home, settings.clock)
    if state is None:
        return ""
    alarm = " STALE: no scheduler runs tasks, though its health may be green; see include/runbooks/canary.md"
    return f"\nScheduler\nlast ran a task at {state['beat_at']}, {state['age_s']} s ago{alarm * state['stale']}\n"


def _report_line(home: Path, seq: int) -> str:
    """Where the report page is, or which version it is of and why it is not of the served one."""
    path = publish.serve_dir(home) / REPORT
    with suppress(OSError):
        found = re.search(rb'<meta name="version" content="(\d+)">', path.read_bytes()[:4000])
        if found and int(found[1]) == seq:
            return f"REPORT {path}"
    why = [r["evidence"] for r in journal.rows(home, "gate_result") if r["rule_id"] == "G0.report"][-1:]
    return f"REPORT not of version {seq}: {why[0] if why else 'it was not made'} [G0.report]"


def publish_postgres(settings: Settings) -> dict:
    """Bring PostgreSQL to the served version. `changed` is False if it was there already."""
    from include.warehouse import postgres  # its driver takes long to import, and few need it

    seq, changed = postgres.publish(settings.home, settings.postgres_url)
    return {"seq": seq, "changed": changed}


def _frozen(made: Build, name: str) -> list[dict]:
    return pq.read_table(made.path / "inputs" / f"{name}.parquet").to_pylist()


def refresh(settings: Settings, run_id: str, *, progress: Progress = quiet) -> dict | None:
    """Build, check and publish in one process. None if nothing has changed."""
    progress("build")
    if build_step(settings, run_id, progress=progress) is None:
        return None
    progress("check")
    checked = check_step(settings, run_id, progress=progress)
    progress("publish")
    return checked | publish_step(settings, run_id)


def build_as_of(settings: Settings, as_of: datetime, *, progress: Progress = quiet) -> Path:
    """The warehouse as it could be known at `as_of`, in a file of its own. Built once per cut-off and inputs."""
    if as_of > settings.clock:
        raise ConfigError("--as-of lies after the run's clock", rule="config.as_of", action="ask for a past instant")
    made = _prepare(settings, f"asof-{stamp(as_of)}-{os.urandom(3).hex()}", as_of)
    kept = settings.home / "build" / "asof" / f"{stamp(as_of)}-{made.input_hash[:16]}.duckdb"
    if not kept.exists():
        _make(settings, made, 0, progress)
        disk.make_dir(kept.parent)
        made.warehouse.replace(kept)
    shutil.rmtree(made.path)
    return kept


def backfill(
    settings: Settings, source_id: str, feed_name: str, start: date, end: date, *, run_id: str
) -> list[Attempt]:
    """Fetch `[start, end)` of a WINDOW feed again. Snapshots cannot be had again and are refused."""
    _window_feed(source_id, feed_name, start, end)
    return land(settings, source_id, feed_name, run_id=run_id, window=Window(start=start, end=end, at=settings.clock))


def _window_feed(source_id: str, feed_name: str, start: date, end: date) -> None:
    _, feed = find_feed(source_id, feed_name)
    if feed.kind != "WINDOW" or start >= end:
        why = "the window is empty" if feed.kind == "WINDOW" else f"{feed.kind}: its past cannot be fetched"
        raise ConfigError(why, source=source_id, rule="L.backfill", action="give a WINDOW feed and start < end")


def backfills_due(settings: Settings, name: str = "", *, again: bool = False) -> list[backfills.Month]:
    """The months to fetch: of the recorded backfill `name`, or of all; those that are done only `again`.

    `ConfigError` for a name that is not recorded, and for a recorded one that names no WINDOW feed.
    """
    every = {b.name: b for b in backfills.recorded(settings.backfills, settings.home)}
    if name and name not in every:
        raise ConfigError(f"no backfill {name[:40]!r} is recorded", source="backfill", rule="L.backfill_file",
                          action=f"use one of {', '.join(every) or 'none, record one'}")  # fmt: skip
    chosen = [every[name]] if name else list(every.values())
    for one in chosen:
        _window_feed(one.source, one.feed, one.start, one.end)
    return [month for one in chosen for month in (one.months if again else one.undone)]


def backfill_month(settings: Settings, month: backfills.Month, *, run_id: str) -> list[Attempt]:
    """Fetch one month of a recorded backfill, and record that it is done unless the source failed."""
    start, end = date.fromisoformat(month.start), date.fromisoformat(month.end)
    attempts = backfill(settings, month.source, month.feed, start, end, run_id=run_id)
    if all(a.outcome in ACCEPTED for a in attempts):
        backfills.note(settings.home, month, run_id=run_id, at=settings.clock)
    return attempts


def newest_attempts(home: Path) -> list[Attempt]:
    """The last acknowledged attempt of every feed, by source and feed."""
    newest = {}
    for attempt in sorted(attempts_of(home), key=lambda a: a.recorded_at):
        newest[attempt.source, attempt.feed] = attempt
    return [newest[key] for key in sorted(newest)]


def attempts_of(home: Path) -> list[Attempt]:
    """Every acknowledged attempt of every feed."""
    store = Store(home)
    return [a for source, feed in store.feeds() for a in store.attempts(source, feed)]


def run_direct(settings: Settings, *, progress: Progress = quiet) -> dict | None:
    """Land every feed, then refresh: the whole job without an orchestrator."""
    run_id = builds.new_run_id(settings.clock)
    for source, feed in feeds():
        if disabled(source, feed):
            continue
        progress(f"land {source.source_id}/{feed.name}")
        land(settings, source.source_id, feed.name, run_id=run_id)
    done = refresh(settings, run_id, progress=progress)
    if settings.postgres_url:
        progress("publish into PostgreSQL")
        publish_postgres(settings)
    return done


def state_of(settings: Settings) -> tuple[dict[tuple[str, str], int], int]:
    """Attempts made per feed and the version served: what `run_summary` compares with."""
    store, served = Store(settings.home), publish.current(settings.home)
    return {key: len(store.attempts(*key)) for key in store.feeds()}, served.seq if served else 0


def disabled_sources() -> list[dict]:
    """Sources that are not asked here, and why."""
    return [{"source": s.source_id, "why": why} for s in registry().values() if (why := disabled(s))]


def run_summary(settings: Settings, before: tuple[dict[tuple[str, str], int], int]) -> str:
    """What a run landed, what failed, and what is served, in a few lines."""
    store = Store(settings.home)
    new = [a for key in store.feeds() for a in store.attempts(*key)[before[0].get(key, 0) :]]
    landed = [a for a in new if a.outcome == "LANDED"]
    failed = {(a.source, a.feed): a for a in new if a.outcome in ("FAILED", "REJECTED")}
    feeds_landed = len({(a.source, a.feed) for a in landed})
    lines = [f"LANDED {len(landed)} payloads of {feeds_landed} feeds" if landed else "LANDED nothing new"]
    lines += [f"FAILED {source}/{feed}: {a.reason} [{a.rule}]" for (source, feed), a in sorted(failed.items())]
    taken = {source.source_id for source, feed in feeds() if feed.kind == "INBOX"}
    right = f"no source looks there, put pages into inbox/ under one of {', '.join(sorted(taken))} [L.inbox_name]"
    lines += [f"IGNORED {path}: {right}" for path in inbox.strays(settings.home, taken)]
    served = publish.current(settings.home)
    if served:
        said = "unchanged: same inputs, same hash" if served.seq == before[1] else "published now"
        lines.append(f"SERVED version {served.seq}, marts {served.meta['marts_hash'][:12]}, as known at "
                     f"{served.meta['cutoff_at']}, {said}")  # fmt: skip
        lines.append(_report_line(settings.home, served.seq))
    return "\n".join(lines) + "\n"


def verify(settings: Settings) -> list[str]:
    """Every damaged, missing or foreign file of landing and serve, one line each.

    `ConfigError` where nothing has ever been stored: a mistyped home is not a sound one.
    """
    if not any((settings.home / name).exists() for name in ("landing", "serve")):
        raise ConfigError("nothing is stored in WAREHOUSE_HOME", rule="serve.empty",
                          action="check the path, or run `capmig run`")  # fmt: skip
    return Store(settings.home).verify() + publish.verify(settings.home)


def upkeep(settings: Settings) -> dict:
    """Check what landed and what is served, re-point a damaged served file, drop old builds."""
    problems = verify(settings)
    if any(p.startswith("serve/warehouse.duckdb") for p in problems):
        publish.restore_good(settings.home)
    status_step(settings)
    report_step(settings)  # a page that failed, was lost, or is of a version rolled back is made again
    for kept in sorted((settings.home / "build" / "asof").glob("*.duckdb"), key=lambda p: p.stat().st_mtime)[:-20]:
        kept.unlink()
    return {"problems": problems[:20], "n_problems": len(problems), "swept": builds.sweep(settings.home)}


def release_hold(settings: Settings, hold_id: str, why: str) -> None:
    """Let a held figure through from now on; the next build publishes it."""
    holds.release(settings.home, hold_id, at=settings.clock, why=why)


def locate_payloads(settings: Settings) -> Locate:
    """Where a payload's bytes are, by source, feed and sha256; only what a manifest line vouches for is found."""
    store, known = Store(settings.home), {}

    def locate(source_id: str, feed_name: str, sha256: str) -> Landed | None:
        if (source_id, feed_name) not in known:
            known[source_id, feed_name] = {a.sha256: a for a in store.attempts(source_id, feed_name)}
        attempt = known[source_id, feed_name].get(sha256)
        if not attempt:
            return None
        path = store.path(attempt).relative_to(settings.home)
        return Landed(str(path), attempt.n_bytes, attempt.encoding, lambda: store.read(attempt))

    return locate


def held_figures(settings: Settings) -> list[dict]:
    """Every hold that the gate made, released ones too."""
    return holds.rows(settings.home)
