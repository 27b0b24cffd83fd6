"""What the repository promises of itself: budgets, layers, style, and no trace of the machine it was written on."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


def _lines(paths: list[Path]) -> int:
    return sum(len(p.read_text(encoding="utf-8").splitlines()) for p in paths)


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_budgets() -> None:
    """Raising one of these needs a decision record."""
    models = list((ROOT / "dbt_project" / "models").rglob("*.sql"))
    python = [p for p in (ROOT / "include").rglob("*.py") if "sources" not in p.parts] + list(
        (ROOT / "dags").glob("*.py")
    )
    sql = [p for p in (ROOT / "dbt_project").rglob("*.sql") if "target" not in p.parts]
    assert len(models) <= 70
    assert _lines(python) <= 13_500
    assert _lines(sql) <= 6400
    for package, most in {"core": 2400, "landing": 1850, "warehouse": 2500, "answers": 3200, "orchestration": 1300,
                          "replay": 1000, "bi": 300}.items():  # fmt: skip
        assert _lines([p for p in python if f"include/{package}/" in p.as_posix()]) <= most, package
    assert _lines([ROOT / "README.md"]) <= 150
    assert all(_lines([p]) <= 60 for p in (ROOT / "dags").glob("*.py"))
    assert all(_lines([p]) <= 150 for p in (ROOT / "include" / "sources").rglob("*.py"))


def test_commands_are_within_their_budget() -> None:
    """Twelve at most, each with a help text."""
    from include.cli import app

    names = {(c.name or c.callback.__name__).strip("_") for c in app.registered_commands}
    assert {"run", "status", "sql", "brief", "import", "build", "publish", "rollback", "probe", "new-source"} <= names
    assert len(names) <= 12
    assert all(c.callback.__doc__ for c in app.registered_commands)


def test_dags_are_within_their_budget() -> None:
    """Twelve at most; what a DAG file makes is tested in tests/dags."""
    assert len(list((ROOT / "dags").glob("*.py"))) <= 12


def test_layers_are_kept() -> None:
    """The contracts of .importlinter; a broken one names the line."""
    found = subprocess.run([BIN / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_python_is_clean() -> None:
    """ruff check and ruff format."""
    for args in (["check"], ["format", "--check"]):
        found = subprocess.run(
            [BIN / "ruff", *args, "include", "dags", "tests"], cwd=ROOT, capture_output=True, text=True
        )
        assert found.returncode == 0, found.stdout[-3000:]


def test_sql_is_clean() -> None:
    """sqlfluff on every model."""
    found = subprocess.run([BIN / "sqlfluff", "lint", "models", "--processes", "2", "--disable-progress-bar"],
                           cwd=ROOT / "dbt_project", capture_output=True, text=True)  # fmt: skip
    assert found.returncode == 0, found.stdout[-3000:]


def test_nothing_names_a_machine_or_an_index_host() -> None:
    """No path of a machine, no package index host, no left-over markers."""
    words = ["/" + "work/", "/" + "root/", "pypi" + ".org", "files.python" + "hosted", "registry.npm" + "js.org",
             "TO" + "DO", "FIX" + "ME", "verify=" + "False"]  # fmt: skip
    wrong = re.compile("|".join(map(re.escape, words)))
    hits = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in _tracked()
        if path.suffix in {".py", ".sql", ".md", ".yml", ".yaml", ".toml", ".txt", ".in", ".csv", ".cfg", ""}
        and (found := wrong.search(path.read_text(encoding="utf-8", errors="ignore")))
    ]
    assert hits == []


def test_the_locks_are_whole() -> None:
    """Every direct dependency is pinned, hashed, and the development lock contains the runtime lock."""
    locks = {}
    for name in ("requirements", "requirements-dev"):
        text = (ROOT / f"{name}.txt").read_text(encoding="utf-8")
        locks[name] = dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+) \\$", text, re.M))
        assert text.count("--hash=sha256:") >= len(locks[name]) > 100
    assert locks["requirements"].items() <= locks["requirements-dev"].items()
    wanted = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / "requirements.in").read_text(encoding="utf-8"), re.M)
    assert all(locks["requirements"][name.lower()] == version for name, version in wanted)


def test_the_terms_of_the_data_are_those_of_the_declarations() -> None:
    """`python -m include.sources > LICENSE-DATA.md` writes it again; the citation names this release."""
    from include.sources.__main__ import page

    assert (ROOT / "LICENSE-DATA.md").read_text(encoding="utf-8") == page()
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == version("capital-migration-warehouse") and cited["cff-version"] == "1.2.0"
