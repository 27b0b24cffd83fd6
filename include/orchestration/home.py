"""Airflow's own state under WAREHOUSE_HOME/airflow: configuration by environment, metadata database, pool."""

import json
import os
from importlib.metadata import version
from pathlib import Path

from include.core import disk
from include.core.clock import iso
from include.settings import ROOT, Settings

PORT = 8080


def airflow_home(settings: Settings) -> Path:
    """Where Airflow keeps its database, passwords and logs."""
    return settings.home / "airflow"


def environment(settings: Settings, *, port: int = PORT) -> dict[str, str]:
    """The whole environment of an Airflow process: ours, and nothing of another Airflow on this machine.

    The run's settings are handed on, so that the tasks load the same ones. A clock that is the wall clock is not:
    every task, and every retry, has an instant of its own.
    """
    home = airflow_home(settings)
    bundle = {
        "name": "warehouse",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(ROOT / "dags"), "refresh_interval": 60},
    }
    own = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "DO_NOT_TRACK": "1",
        "WAREHOUSE_HOME": str(settings.home),
    }
    own |= {f"CAPMIG_BASE_URL__{source_id.upper()}": url for source_id, url in settings.base_urls.items()}
    if settings.alert_smtp:
        own["AIRFLOW_CONN_SMTP_DEFAULT"] = settings.alert_smtp
    if settings.openlineage:  # for apache-airflow-providers-openlineage, where it is installed
        own |= {"AIRFLOW__OPENLINEAGE__TRANSPORT": settings.openlineage, "AIRFLOW__OPENLINEAGE__DISABLED": "False"}
    if settings.clock_is_past:
        own["CAPMIG_CLOCK"] = iso(settings.clock)
    return {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")} | own


def prepare(home: Path) -> None:
    """Create or upgrade the metadata database and the pool. Nothing to do if this version of Airflow did it before.

    Runs inside an Airflow process: AIRFLOW_HOME is `home` already.
    """
    marker = home / "migrated"
    current = f"{version('apache-airflow')}\n"
    if marker.exists() and marker.read_text(encoding="utf-8") == current:
        return
    from airflow.models.pool import Pool
    from airflow.utils.db import initdb

    from include.orchestration.tasks import POOL

    initdb()
    Pool.create_or_update_pool(POOL, slots=1, description="whoever opens a build file", include_deferred=False)
    disk.write_over(marker, current.encode())
