"""The tasks: each calls one step of landing or of `include.pipeline`. Settings are read inside the task, so that a
retry has an instant of its own; heavy imports are made inside the task that needs them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from include.core.errors import CapmigError, ConfigError, PermanentError, TransientError

POOL = "warehouse"  # one slot: whoever opens a build file holds it
log = logging.getLogger("capmig.task")

# Failures of a source that may have passed in a minute. The others are looked at by a person.
TRANSIENT = {
    "L.connect", "L.timeout", "L.deadline", "L.reset", "L.short_body", "L.status_5xx", "L.rate_limited",
}  # fmt: skip


class OfSource:
    """What a recorded failure of a source says of itself: `feed`, as `source/feed`."""

    def __init__(self, message: str, feed: str = ""):
        super().__init__(message)
        self.feed = feed


class SourceUnavailable(OfSource, AirflowException):
    """A source failed in a way that may pass. The attempt is recorded; another try is worth it."""


class SourceFailed(OfSource, AirflowFailException):
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
        cause = PermanentError(a.reason, source=a.source, rule=a.rule, action="the attempt is recorded")
        raise kind(f"{a.source}/{a.feed}: {a.reason} [{a.rule}] -> the attempt is recorded, see the runbook land",
                   feed=f"{a.source}/{a.feed}") from cause  # fmt: skip
    return outcomes


@task(map_index_template="{{ task.op_kwargs['source_id'] }}/{{ task.op_kwargs['feed_name'] }}",
      max_active_tis_per_dag=8, multiple_outputs=False)  # fmt: skip
def land(source_id: str, feed_name: str) -> dict[str, int]:
    """Land one feed. Returns how many payloads had which outcome; skipped if the feed is not due."""
    from include.landing.land import land as land_feed
    from include.settings import load

    with _one_line_errors():
        attempts = land_feed(load(), source_id, feed_name, run_id=get_current_context()["run_id"])
    if not attempts:
        raise AirflowSkipException(f"{source_id}/{feed_name} is not due, or nothing waits in its inbox")
    outcomes = _settle(attempts)
    return {o: outcomes.count(o) for o in sorted(set(outcomes))}


@task
def announce() -> None:
    """Send the asset event if a task before this one recorded anything but UNCHANGED; else skip, which sends none."""
    news = get_current_context()["ti"].xcom_pull(task_ids=["land"], key="news")
    if not any(news or ()):
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
def months() -> list[dict]:
    """What the recorded backfill that the params name, or every one, still lacks: a calendar month each."""
    from include import pipeline
    from include.settings import load

    context = get_current_context()
    with _one_line_errors():
        unknown = sorted(set(context["dag_run"].conf or {}) - {"file", "again"})
        if unknown:
            raise ConfigError(f"no parameter {unknown[0][:40]!r}", source="backfill", rule="config.conf",
                              action="give file and again; a window is recorded in include/backfills")  # fmt: skip
        due = pipeline.backfills_due(load(), context["params"]["file"], again=context["params"]["again"])
    if not due:
        raise AirflowSkipException("every recorded backfill is done; `again` repeats one")
    return [{"month": asdict(month), "place": f"{n} of {len(due)}"} for n, month in enumerate(due, 1)]


@task(task_id="land", map_index_template="{{ task.op_kwargs['month']['name'] }} {{ task.op_kwargs['month']['start'] }}",
      max_active_tis_per_dag=1, multiple_outputs=False)  # fmt: skip
def land_month(month: dict, place: str) -> dict[str, int]:
    """Fetch one month of a recorded backfill, and record that it is done."""
    from include import pipeline
    from include.landing.backfills import Month
    from include.settings import load

    one = Month(**month)
    log.info("backfill %s: month %s, %s/%s from %s to %s", one.name, place, one.source, one.feed, one.start, one.end)
    with _one_line_errors():
        attempts = pipeline.backfill_month(load(), one, run_id=get_current_context()["run_id"])
    outcomes = _settle(attempts)
    counts = {o: outcomes.count(o) for o in sorted(set(outcomes))}
    log.info("backfill %s: month %s landed: %s", one.name, place, counts)
    return counts


@task(multiple_outputs=False)
def beat() -> str:
    """The canary: a scheduled task ran at this instant."""
    from include import pipeline
    from include.settings import load

    with _one_line_errors():
        return pipeline.beat(load())


@task(multiple_outputs=False)
def source_health() -> dict:
    """Fail if a feed's newest attempt failed: the DAG's daily word on what we cannot get."""
    from include import pipeline
    from include.settings import load

    with _one_line_errors():
        newest = pipeline.newest_attempts(load().home)
    bad = [f"{a.source}/{a.feed}: {a.outcome} [{a.rule}]" for a in newest if a.rule]
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
