"""docker-compose.yml: Debian's docker-compose reads it, its promises hold, and its Airflow runs natively, word for word.

There is no Docker engine here. The native run takes each service's command, environment, secrets, health check and
entry point from the resolved file and changes places alone: directories, host names and ports.
"""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import requests
import yaml

from include.sources import registry
from tests import postgres
from tests.conftest import capmig

ROOT = Path(__file__).resolve().parents[1]
AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer")
DATABASES = ("metadata", "marts")
SUPERSET = Path(os.environ.get("BI_PYTHON", ROOT / ".venv-bi" / "bin" / "python"))  # its own environment
PATIENCE_S = 420


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The file as docker-compose resolves it."""
    if not shutil.which("docker-compose") and "docker-compose" in os.environ.get("MISSING_SYSTEM_PACKAGES", "").split():
        pytest.skip("docker-compose is not installed, as `make test` has said")
    done = subprocess.run(["docker-compose", "-f", ROOT / "docker-compose.yml", "config"], capture_output=True, text=True,
                          cwd=tmp_path_factory.mktemp("compose"), env={"PATH": os.environ["PATH"]})  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return yaml.safe_load(done.stdout)


def test_every_service_is_locked_down(compose: dict) -> None:
    """No root, no capability, a read-only root, limits, an exact image, a health check; no password in the file."""
    assert set(compose["services"]) == {*AIRFLOW, *DATABASES, "airflow-init", "superset-init", "superset"}
    for name, service in compose["services"].items():
        assert re.fullmatch(r"\d+:\d+", service["user"]) and not service["user"].startswith("0:"), name
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"] and "privileged" not in service, name
        assert service["mem_limit"] and service["cpus"] and service["pids_limit"], name
        assert re.search(r":\d+\.\d+", service["image"]), name
        assert ("healthcheck" in service) or service["restart"] == "no", name
        assert service["secrets"] and "env_file" not in service, name
        for key, value in service["environment"].items():
            secret = re.search(r"PASSWORD|SECRET|FERNET|_CONN|_URL|TOKEN", key)
            assert not secret or re.match(r"(cat )?/run/secrets/\w+$|/opt/airflow/passwords.json$", str(value)) or (
                key in ("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "REQUIRED_SECRETS", "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS")
            ), f"{name}: {key}"  # fmt: skip


def test_who_reaches_what(compose: dict) -> None:
    """Ports on loopback alone; databases on internal networks, apart; one service reaches out and writes the warehouse."""
    services = compose["services"]
    published = {p if isinstance(p, str) else str(p) for s in services.values() for p in s.get("ports", [])}
    assert published == {"127.0.0.1:8080:8080/tcp", "127.0.0.1:8088:8088/tcp"}
    networks = {name: set(s["networks"]) for name, s in services.items()}
    assert all(compose["networks"][n].get("internal") for n in ("metadata", "marts", "control"))
    assert networks["metadata"] == {"metadata"} and networks["marts"] == {"marts"}
    assert [n for n, to in networks.items() if "egress" in to] == ["scheduler"]
    assert {n for n, to in networks.items() if "front" in to} == {"api-server", "superset"}
    for name in DATABASES:  # by TCP: while a volume is prepared, the server listens on its socket alone
        assert {"pg_isready", "--host=127.0.0.1"} <= set(services[name]["healthcheck"]["test"])
    mounts = {name: s.get("volumes", []) for name, s in services.items()}
    assert [n for n, vs in mounts.items() if any(":/warehouse" in v for v in vs)] == ["scheduler"]
    holders = {
        name: {s["source"] if isinstance(s, dict) else s for s in services[name]["secrets"]} for name in services
    }
    assert {n for n, held in holders.items() if "marts_url" in held} == {"scheduler"}
    assert {n for n, held in holders.items() if "marts_admin_password" in held} == {"marts"}
    for name, service in services.items():  # what the entry point checks is what is mounted
        assert service["entrypoint"][0] == "/app/docker/entrypoint.sh", name
        assert set(service["environment"]["REQUIRED_SECRETS"].split()) == holders[name], name


def test_secrets_are_made_once_and_weak_ones_are_refused(tmp_path: Path) -> None:
    """docker/secrets.sh makes what the file names; the entry point starts nothing with a default in place of it."""
    _secrets(tmp_path / "s")
    made = {p.name: p.read_text().strip() for p in (tmp_path / "s").iterdir()}
    assert set(made) == set(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["secrets"])
    assert len(set(made.values())) == len(made) and (tmp_path / "s").stat().st_mode & 0o777 == 0o700
    _secrets(tmp_path / "s")
    assert made == {p.name: p.read_text().strip() for p in (tmp_path / "s").iterdir()}

    def start(name: str, value: str | None) -> subprocess.CompletedProcess[str]:
        (tmp_path / "s" / name).unlink(missing_ok=True)
        if value is not None:
            (tmp_path / "s" / name).write_text(value)
        return subprocess.run([ROOT / "docker" / "entrypoint.sh", "echo", "started"], capture_output=True, text=True,
                              env={"PATH": "/usr/bin:/bin", "SECRETS_PATH": str(tmp_path / "s"), "REQUIRED_SECRETS": name})  # fmt: skip

    for name, bad in [("bi_password", None), ("bi_password", ""), ("bi_password", "airflow"), ("bi_password", "short-but-odd"),
                      ("bi_password", "ChangeMe-0123456789abcdef"), ("jwt_secret", "a1b2c3d4e5f6a7b8c9d0"),
                      ("marts_url", "postgresql://capmig:airflow@marts/capmig"), ("marts_url", "postgresql://capmig@marts/c")]:  # fmt: skip
        done = start(name, bad)
        assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1, (name, bad)
        assert "[config.secret]" in done.stderr and (not bad or bad not in done.stderr)
    for name in ("bi_password", "jwt_secret", "marts_url", "fernet_key"):
        assert start(name, made[name]).stdout == "started\n", name


@pytest.mark.timeout(1500)
def test_the_services_publish_into_postgres(compose: dict, pack_home: Path, tmp_path: Path) -> None:
    """Airflow on PostgreSQL, four components with their own entry point, secrets and health checks: a run of build_warehouse
    builds what has landed, checks it, publishes it, and brings it into the marts' PostgreSQL, where a reader only reads."""
    home = tmp_path / "warehouse"
    shutil.copytree(
        pack_home, home, ignore=shutil.ignore_patterns("run-*", "asof", "dbt", "serve", "journal", "airflow", "ready")
    )
    with postgres.server() as metadata, postgres.server() as marts:
        place = Place(compose, tmp_path, home, {"metadata": metadata, "marts": marts})
        place.databases()
        done = place.run("airflow-init")
        assert done.returncode == 0, done.stderr[-2000:]
        with place.started(*AIRFLOW):
            ask = place.client()
            _until(lambda: "build_warehouse" in {d["dag_id"] for d in ask("GET", "/dags").get("dags", [])})
            assert ask("GET", "/importErrors")["total_entries"] == 0
            ask("PATCH", "/dags/build_warehouse", {"is_paused": False})
            run = ask("POST", "/dags/build_warehouse/dagRuns", {"logical_date": None})["dag_run_id"]
            here = f"/dags/build_warehouse/dagRuns/{run}"
            # `pace` would hold the run open for its 15 minutes.
            _until(lambda: ask("GET", f"{here}/taskInstances/pace")["state"] == "deferred")
            ask("PATCH", f"{here}/taskInstances/pace", {"new_state": "success"})
            _until(lambda: ask("GET", here)["state"] in ("success", "failed"))
            states = {t["task_id"]: t["state"] for t in ask("GET", f"{here}/taskInstances")["task_instances"]}
            assert states == dict.fromkeys(("pace", "build", "check", "publish", "publish_postgres"), "success")
        reader = place.secret("bi_url")
        with psycopg.connect(reader, autocommit=True) as con:
            assert con.execute("select seq from ops.fct_publication").fetchall() == [(1,)]
            flow = con.execute("select net_flow_usd from marts.fct_etf_flow_agg_daily "
                               "where asset = 'BTC' and session_date = '2026-01-30'").fetchone()  # fmt: skip
            assert str(flow[0]) == "-509700000.00"
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                con.execute("create table marts.mine (n integer)")
        assert not [p for p in (tmp_path / "logs").rglob("*") if p.is_file() and place.leaks(p)]


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_superset_shows_the_marts_in_postgres(compose: dict, pack_home: Path, tmp_path: Path) -> None:
    """Superset on PostgreSQL, both its own tables and the marts, by the file's own services: a reader's figures, no write."""
    assert SUPERSET.exists(), f"{SUPERSET} is not there: `make bi` installs it"
    with postgres.server() as metadata, postgres.server() as marts:
        place = Place(compose, tmp_path, pack_home, {"metadata": metadata, "marts": marts})
        place.databases()
        done = capmig(pack_home, "publish", "postgres", WAREHOUSE_POSTGRES_URL=place.secret("marts_url"))
        assert done.returncode == 0, done.stderr
        done = place.run("superset-init")
        assert done.returncode == 0, done.stderr[-2000:]
        with place.started("superset"):
            session = requests.Session()
            url = f"http://127.0.0.1:{place.port}"
            login = {"username": "admin", "password": place.secret("superset_admin_password"), "provider": "db"}
            token = session.post(f"{url}/api/v1/security/login", json=login, timeout=60).json()["access_token"]
            session.headers.update({"Authorization": f"Bearer {token}", "Referer": url})
            csrf = session.get(f"{url}/api/v1/security/csrf_token/", timeout=60).json()["result"]
            session.headers["X-CSRFToken"] = csrf

            def run(sql: str, client: str) -> requests.Response:
                body = {"database_id": 1, "sql": sql, "client_id": client, "queryLimit": 1000, "runAsync": False}
                return session.post(f"{url}/api/v1/sqllab/execute/", json=body, timeout=120)

            for number, path in enumerate(sorted((ROOT / "include/bi/assets/datasets").glob("*.yaml"))):
                answer = run(yaml.safe_load(path.read_text())["sql"], f"d{number}")
                assert answer.status_code == 200 and answer.json()["data"], (path.stem, answer.text[:500])
            flow = run("select net_flow_usd from marts.fct_etf_flow_agg_daily "
                       "where asset = 'BTC' and session_date = '2026-01-30'", "f")  # fmt: skip
            assert flow.json()["data"] == [{"net_flow_usd": -509700000.0}]
            assert "does not allow for DDL/DML" in run("delete from ops.fct_publication", "w").text
        assert not [p for p in (tmp_path / "logs").rglob("*") if p.is_file() and place.leaks(p)]


def _secrets(directory: Path, **hosts: str) -> None:
    subprocess.run([ROOT / "docker" / "secrets.sh", directory], check=True, env={"PATH": "/usr/bin:/bin"} | hosts)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _until(what: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < end
        time.sleep(2)


class Place:
    """Where the file's services run natively: the file's own words, with this machine's places in them."""

    def __init__(self, compose: dict, base: Path, home: Path, databases: dict[str, postgres.Server]):
        self.services, self.base, self.databases_at = compose["services"], base, databases
        self.port = _free_port()
        self.places = {
            "/run/secrets": str(base / "secrets"), "/logs": str(base / "logs"), "/app/": f"{ROOT}/",
            "http://api-server:8080": f"http://127.0.0.1:{self.port}", "127.0.0.1:8080": f"127.0.0.1:{self.port}",
            "127.0.0.1:8088": f"127.0.0.1:{self.port}", "0.0.0.0:8088": f"127.0.0.1:{self.port}",
            "8974": str(_free_port()), "0.0.0.0": "127.0.0.1",  # noqa: S104 the container's own address
        }  # fmt: skip
        self.home = home
        (base / "logs").mkdir()
        (base / "secrets").mkdir()
        for name, server in databases.items():
            (base / "secrets" / f"{name}_admin_password").write_text(server.password)
        _secrets(base / "secrets", **{f"{n.upper()}_HOST": f"127.0.0.1:{s.port}" for n, s in databases.items()})

    def secret(self, name: str) -> str:
        return (self.base / "secrets" / name).read_text().strip()

    def here(self, text: str, name: str) -> str:
        text = {"/warehouse": str(self.home), "/superset": str(self.base / name)}.get(text, text)
        for there, place in (self.places | {"/opt/airflow": str(self.base / name)}).items():
            text = text.replace(there, place)
        return text

    def environment(self, name: str) -> dict[str, str]:
        """The service's own environment, but that DAGs wait to be asked, and sources are asked where nobody listens."""
        (self.base / name).mkdir(exist_ok=True)
        own = {k: self.here(str(v), name) for k, v in self.services[name]["environment"].items()}
        nowhere = {f"CAPMIG_BASE_URL__{source_id.upper()}": "http://127.0.0.1:9" for source_id in registry()}
        python = SUPERSET if name.startswith("superset") else Path(sys.executable)
        path = f"{python.parent}:/usr/lib/postgresql/15/bin:/usr/bin:/bin"
        return (
            own
            | nowhere
            | {
                "PATH": path,
                "SECRETS_PATH": self.places["/run/secrets"],
                "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
            }
        )

    def command(self, name: str) -> list[str]:
        service = self.services[name]
        words = [self.here(word, name) for word in [*service["entrypoint"], *service["command"]]]
        return [str(self.port) if word == "8080" else word for word in words]

    def databases(self) -> None:
        """Roles and databases by the scripts that the PostgreSQL images run on an empty volume."""
        for name, server in self.databases_at.items():
            script = next(v for v in self.services[name]["volumes"] if "initdb" in v).split(":")[0]
            subprocess.run([ROOT / script], check=True, cwd=self.base,
                           env=self.environment(name) | {"PGHOST": "127.0.0.1", "PGPORT": str(server.port)})  # fmt: skip

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(name), env=self.environment(name), cwd=self.base, capture_output=True, text=True,
                              timeout=300)  # fmt: skip

    def healthy(self, name: str) -> bool:
        """By the service's own health check."""
        kind, *test = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        words = [self.here(word, name) for word in test]
        return (
            subprocess.run(
                words, env=self.environment(name), cwd=self.base, capture_output=True, timeout=120
            ).returncode
            == 0
        )

    @contextmanager
    def started(self, *names: str) -> Iterator[None]:
        """Start services in order, each when those before it are healthy; stop them as a container is stopped."""
        running: list[subprocess.Popen] = []
        try:
            for name in names:
                with (self.base / "logs" / f"{name}.log").open("ab") as log:
                    child = subprocess.Popen(self.command(name), env=self.environment(name), cwd=self.base, stdout=log,
                                             stdin=subprocess.DEVNULL, stderr=log, start_new_session=True)  # fmt: skip
                running.append(child)
            for name, child in zip(names, running, strict=True):
                _until(lambda n=name, c=child: self.healthy(n) or self._ended(n, c))
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                for child in running:
                    try:
                        os.killpg(child.pid, number)
                    except ProcessLookupError:
                        continue
                end = time.monotonic() + 30
                while any(c.poll() is None for c in running) and time.monotonic() < end:
                    time.sleep(0.2)

    def _ended(self, name: str, child: subprocess.Popen) -> bool:
        if child.poll() is not None:
            pytest.fail(f"{name} ended: {(self.base / 'logs' / f'{name}.log').read_text()[-3000:]}")
        return False

    def client(self) -> Callable[..., dict]:
        """Airflow's API as `admin`, by the password of the secret."""

        def ask(method: str, path: str, body: dict | None = None, prefix: str = "/api/v2", token: str = "") -> dict:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            headers = {"content-type": "application/json", "authorization": f"Bearer {token or tokens[-1]}"}
            connection.request(method, prefix + path, body and json.dumps(body), headers)
            return json.loads(connection.getresponse().read())

        tokens: list[str] = ["none"]
        login = {"username": "admin", "password": self.secret("airflow_admin_password")}
        tokens.append(ask("POST", "/auth/token", login, prefix="")["access_token"])
        return ask

    def leaks(self, log: Path) -> bool:
        """Whether a log holds a secret."""
        text = log.read_text(errors="replace")
        return any(self.secret(p.name) in text for p in (self.base / "secrets").iterdir())
