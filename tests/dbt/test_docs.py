"""`make docs`: dbt's documentation as one file that opens from disk without a network."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.browser import Watched, chromium

ROOT = Path(__file__).resolve().parents[2]


def make_docs(home: Path) -> subprocess.CompletedProcess[str]:
    """The target, with the environment that is there taken for up to date."""
    installed = [arg for name in ("dev", "runtime") for arg in ("-o", f".venv/{name}.stamp")]
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")} | {"WAREHOUSE_HOME": str(home)}
    return subprocess.run(["make", "-s", *installed, "docs"], cwd=ROOT, env=env, capture_output=True, text=True,
                          timeout=600)  # fmt: skip


@pytest.mark.timeout(600)
def test_the_page_opens_offline_and_knows_tables_and_readers(pack_home: Path, tmp_path: Path) -> None:
    """From the inputs of the last build; a table with its types, an exposure, and nothing asked of any host."""
    home = tmp_path / "home"
    for name in ("inputs", "partitions"):
        shutil.copytree((pack_home / "build" / "dbt" / name).resolve(), home / "build" / "dbt" / name)
    done = make_docs(home)
    assert done.returncode == 0, done.stderr + done.stdout
    page = home / "docs" / "index.html"
    assert done.stdout.splitlines()[-1] == str(page)
    with chromium() as browser, browser.new_context(offline=True) as context:
        watched = Watched(context)
        watched.page.goto(f"{page.as_uri()}#!/model/model.capital_migration.fct_etf_flow_agg_daily")
        watched.page.get_by_text("net_flow_usd", exact=True).first.wait_for(timeout=60_000)
        text = watched.page.inner_text("body")
        assert "DECIMAL(24,2)" in text and "Grain: asset" in text and "US dollars" in text
        watched.page.goto(f"{page.as_uri()}#!/exposure/exposure.capital_migration.report")
        watched.page.get_by_text("serve/report/index.html").first.wait_for(timeout=60_000)
        assert [url for url in watched.requests if not url.startswith(("file:", "data:", "blob:"))] == []


def test_without_a_build_it_says_so(tmp_path: Path) -> None:
    """In one line, and nothing is written."""
    done = make_docs(tmp_path)
    assert done.returncode != 0 and "nothing is built yet" in done.stderr
    assert list(tmp_path.iterdir()) == []
