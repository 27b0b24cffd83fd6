"""The tasks: each calls one step of `include.pipeline`. Settings are read inside the task, so that a retry has an
instant of its own; heavy imports are made inside the task that needs them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from include.core.errors import CapmigError, TransientError

POOL = "warehouse"  # one slot: whoever opens a build file holds it
log = logging.getLogger("capmig.task")

# Failures of a source that may have passed in a minute. The others are looked at by a person.
TRANSIENT = {
    "L.connect", "L.timeout", "L.deadline", "L.reset", "L.short_body", "L.status_5xx", "L.rate_limited",
}  # fmt: skip


class SourceUnavailable(AirflowException):
    """A source failed in a way that may pass. The attempt is recorded; another try is worth it."""


class SourceFailed(AirflowFailException):
    """A source refused, or its bytes were rejected. The attempt is recorded; another try changes nothing."""


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Our errors as Airflow's, in one line: retried if they may pass, failed at once if not."""
    try:
        yield
    except TransientError as error:
        raise AirflowException(str(error)) from error
    except CapmigError as error:
        raise AirflowFailException(str(error)) from error


def _settle(attempts: list) -> list[str]:
    """Push the outcomes, then fail if the source failed. Returns the outcomes."""
    outcomes = [a.outcome for a in attempts]
    context = get_current_context()
    context["ti"].xcom_push(key="news", value=any(o != "UNCHANGED" for o in outcomes))
    failed = [a for a in attempts if a.outcome in ("FAILED", "REJECTED")]
    if failed:
        a = failed[-1]
        kind = SourceUnavailable if a.rule in TRANSIENT else SourceFailed
        raise kind(f"{a.source}/{a.feed}: {a.reason} [{a.rule}] -> the attempt is recorded, see the runbook land")
    return outcomes


@task(map_index_template="{{ task.op_kwargs['source_id'] }}/{{ task.op_kwargs['feed_name'] }}",
      max_active_tis_per_dag=8, multiple_outputs=False)  # fmt: skip
def land(source_id: str, feed_name: str) -> dict[str, int]:
    """Land one feed. Returns how many payloads had which outcome; skipped if the feed is not due."""
    from include import pipeline
    from include.settings import load

    with _one_line_errors():
        attempts = pipeline.land(load(), source_id, feed_name, run_id=get_current_context()["run_id"])
    if not attempts:
        raise AirflowSkipException(f"{source_id}/{feed_name} is not due, or nothing waits in its inbox")
    outcomes = _settle(attempts)
    return {o: outcomes.count(o) for o in sorted(set(outcomes))}


@task
def announce() -> None:
    """Send the asset event if a task before this one recorded anything but UNCHANGED; else skip, which sends none."""
    news = get_current_context()["ti"].xcom_pull(task_ids=["land"], key="news")
    if not any(news):
        raise AirflowSkipException("nothing new stands in the manifest")


@task(pool=POOL, multiple_outputs=False, execution_timeout=timedelta(minutes=30))
def build() -> dict:
    """Build a candidate from what has landed. Skipped, with all that follows, if nothing has changed."""
    from include import pipeline
    from include.settings import load
    from include.warehouse.build import new_run_id

    with _one_line_errors():
        settings = load()
        made = pipeline.build_step(settings, new_run_id(settings.clock), progress=log.info)
    if made is None:
        raise AirflowSkipException("nothing that decides a figure or an outcome has changed")
    return made


@task(pool=POOL, multiple_outputs=False)
def check(built: dict) -> dict:
    """The gate: labels, holds, or a refusal, which is final."""
    from include import pipeline
    from include.settings import load

    with _one_line_errors():
        return pipeline.check_step(load(), built["run_id"], progress=log.info)


@task(pool=POOL, multiple_outputs=False)
def publish(checked: dict) -> dict:
    """Swap the served file for the checked candidate."""
    from include import pipeline
    from include.settings import load

    with _one_line_errors():
        return pipeline.publish_step(load(), checked["run_id"])


# Not in the pool: it reads a finished version. Also when nothing was built, so that what PostgreSQL missed is made up.
@task(multiple_outputs=False, trigger_rule="none_failed")
def publish_postgres() -> dict:
    """Bring PostgreSQL to the served version; nothing to do if it is there."""
    from include import pipeline
    from include.settings import load

    with _one_line_errors():
        return pipeline.publish_postgres(load())


@task
def months() -> list[dict[str, str]]:
    """The DAG's params as one window `[start, end)` a calendar month."""
    from include import pipeline

    params = get_current_context()["params"]
    with _one_line_errors():
        pipeline.find_feed(params["source"], params["feed"])
    start, end = date.fromisoformat(params["start"]), date.fromisoformat(params["end"])
    if start >= end:
        raise AirflowFailException("backfill: the window is empty [L.backfill] -> give start < end")
    edges = [start]
    while (following := (edges[-1].replace(day=1) + timedelta(days=32)).replace(day=1)) < end:
        edges.append(following)
    return [{"start": a.isoformat(), "end": b.isoformat()} for a, b in zip(edges, [*edges[1:], end], strict=True)]


@task(task_id="land", map_index_template="{{ task.op_kwargs['start'] }}", max_active_tis_per_dag=1,
      multiple_outputs=False)  # fmt: skip
def land_window(start: str, end: str) -> dict[str, int]:
    """Fetch one window of the feed named by the DAG's params again."""
    from include import pipeline
    from include.settings import load

    context = get_current_context()
    params = context["params"]
    with _one_line_errors():
        attempts = pipeline.backfill(load(), params["source"], params["feed"], date.fromisoformat(start),
                                     date.fromisoformat(end), run_id=context["run_id"])  # fmt: skip
    outcomes = _settle(attempts)
    return {o: outcomes.count(o) for o in sorted(set(outcomes))}


@task(multiple_outputs=False)
def source_health() -> dict:
    """Fail if a feed's newest attempt failed: the DAG's daily word on what we cannot get."""
    from include import pipeline
    from include.settings import load

    newest = {}
    with _one_line_errors():
        for attempt in sorted(pipeline.attempts_of(load().home), key=lambda a: a.recorded_at):
            newest[attempt.source, attempt.feed] = attempt
    bad = [f"{s}/{f}: {a.outcome} [{a.rule}]" for (s, f), a in sorted(newest.items()) if a.rule]
    if bad:
        raise AirflowFailException(f"{len(bad)} of {len(newest)} feeds fail: {'; '.join(bad)[:1500]}")
    return {"feeds": len(newest)}


@task(pool=POOL, multiple_outputs=False, execution_timeout=timedelta(hours=1))
def stored_files() -> dict:
    """Check every stored byte, repair what is served, drop old builds. Fails if anything was damaged."""
    from include import pipeline
    from include.settings import load

    with _one_line_errors():
        found = pipeline.upkeep(load())
    if found["n_problems"]:
        raise AirflowFailException(f"{found['n_problems']} stored files are not as written: {found['problems'][0]}")
    return found
