"""The assets that tie landing to the build. An event says that something new stands in the manifest, no more."""

from airflow.sdk import Asset

BACKFILL = "backfill"


def landed(clock: str) -> Asset:
    """The asset that the landing DAG of a clock (or the backfill) updates.

    The URI has a scheme of its own, so that no provider gives it a meaning. Events may merge, double or be lost:
    what they wake reads the manifest and is idempotent.
    """
    return Asset(name=f"landed_{clock}", uri=f"x-capmig://landing/{clock}")
