"""Recorded backfills: what a file may say, and the DAG that runs them, for real against the replay server."""

import shutil
from pathlib import Path

import pytest

from include import pipeline
from include.core.errors import ConfigError
from include.landing import backfills
from include.landing.store import Store
from include.replay import session
from include.settings import load
from tests.dags.run import ROOT, once, said

GOOD = 'source = "nyfed"\nfeed = "effr"\nstart = 2025-11-15\nend = 2026-01-10\nwhy = "half a month was missed"\n'
WRONG = {
    "not toml": "source = ",
    "a date in quotes": GOOD.replace("2025-11-15", '"2025-11-15"'),
    "an instant": GOOD.replace("2025-11-15", "2025-11-15T00:00:00Z"),
    "no reason": GOOD.replace("half a month was missed", "  "),
    "a key too many": GOOD + 'shell = "rm"\n',
    "a key too few": GOOD.replace('why = "half a month was missed"\n', ""),
    "an empty window": GOOD.replace("2026-01-10", "2025-11-15"),
    "no such source": GOOD.replace("nyfed", "../etc/passwd"),
    "a feed of another source": GOOD.replace("effr", "par_curve"),
    "a snapshot": GOOD.replace("nyfed", "hyperliquid").replace("effr", "contexts"),
    "a template": GOOD.replace("effr", "{{ var.value.x }}"),
    "a statement": GOOD.replace("effr", "x'; drop table marts.dim_source; --"),
    "not text": "\x00\x01",
}
HOSTILE = [
    "../../etc/passwd",
    "a b",
    "{{ 1 }}",
    "'; drop table x; --",
    "x" * 81,
    "-x",
    "EFFR",
    "a\nb",
    "café",
    "a.toml",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of recorded backfills of one's own, and a warehouse beside it."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CAPMIG_BACKFILLS", str(tmp_path / "backfills"))
    (tmp_path / "backfills").mkdir()
    (tmp_path / "backfills" / "effr-november.toml").write_text(GOOD)
    return tmp_path / "backfills"


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_row_58_a_file_that_says_something_else_is_refused_in_one_line(text: str, folder: Path) -> None:
    """Before anything is asked; a good file beside it does not run either."""
    (folder / "wrong.toml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        pipeline.backfills_due(load())
    assert "\n" not in str(refused.value) and "[" in str(refused.value) and refused.value.action
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("name", HOSTILE)
def test_row_58_a_name_that_is_none_is_refused(name: str, folder: Path) -> None:
    """No path, template or statement reaches a file or a feed."""
    assert not backfills.NAME.fullmatch(name)
    with pytest.raises(ConfigError, match="L.backfill_file") as refused:
        raise_line(name)
    assert "\n" not in str(refused.value)


def raise_line(name: str) -> None:
    """Ask for the backfill; its error as the line that a user sees."""
    try:
        pipeline.backfills_due(load(), name)
    except ConfigError as error:
        raise ConfigError(str(error), rule=error.rule, action=error.action) from None


def test_the_recorded_backfills_of_the_product_are_good() -> None:
    """Each names a WINDOW feed; there is at least one."""
    kept = backfills.recorded(ROOT / "include" / "backfills", Path("/nonexistent"))
    assert kept and all(b.undone == b.months for b in kept)
    assert len(pipeline.backfills_due(load())) == sum(len(b.months) for b in kept)


def test_months_are_calendar_months_and_their_parts(folder: Path) -> None:
    """Half-open windows that meet, over a turn of the year, and one within a month."""
    months = pipeline.backfills_due(load(), "effr-november")
    assert [(m.start, m.end) for m in months] == [
        ("2025-11-15", "2025-12-01"), ("2025-12-01", "2026-01-01"), ("2026-01-01", "2026-01-10"),
    ]  # fmt: skip
    (folder / "short.toml").write_text(GOOD.replace("2026-01-10", "2025-11-16"))
    assert [(m.start, m.end) for m in pipeline.backfills_due(load(), "short")] == [("2025-11-15", "2025-11-16")]


@pytest.mark.timeout(600)
def test_what_is_done_is_not_run_twice_and_what_failed_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All by one run; a second has nothing to do; `again` repeats; a wider window adds its month; bad conf is refused."""
    with session(load, live=False) as settings:
        home = settings.home
        monkeypatch.setenv("CAPMIG_BASE_URL__NYFED", "http://127.0.0.1:9")
        monkeypatch.setenv("CAPMIG_FETCH_TRIES", "1")
        (down,) = once(load(), ("backfill", {}))
        assert down["state"] == "failed" and len(pipeline.backfills_due(load())) == 3
        monkeypatch.setenv("CAPMIG_BASE_URL__NYFED", settings.base_urls["nyfed"])
        shutil.rmtree(home / "http")

        first, second, again = once(load(), ("backfill", {}), ("backfill", {}), ("backfill", {"again": True}))
        assert first["tasks"] == [["announce", -1, "success"], *(["land", n, "success"] for n in range(3)),
                                  ["months", -1, "success"]]  # fmt: skip
        assert pipeline.backfills_due(load()) == []
        assert second["state"] == "success" and ["months", -1, "skipped"] in second["tasks"]
        assert not any(state == "success" for _, _, state in second["tasks"])
        landed = [a for a in Store(home).attempts("nyfed", "effr") if a.outcome != "FAILED"]
        assert [a.outcome for a in landed] == ["LANDED"] * 3 + ["UNCHANGED"] * 3
        assert again["state"] == "success"
        assert ["announce", -1, "skipped"] in again["tasks"]  # nothing new: the build is not woken
        logs = said(settings).read_text()
        assert "backfill effr-november: month 2 of 3, nyfed/effr from 2025-12-01 to 2026-01-01" in logs
        assert "backfill effr-november: month 3 of 3 landed: {'LANDED': 1}" in logs

        (folder / "effr-november.toml").write_text(GOOD.replace("2026-01-10", "2026-02-01"))
        assert [(m.start, m.end) for m in pipeline.backfills_due(load())] == [("2026-01-01", "2026-02-01")]
        (unknown,) = once(load(), ("backfill", {"source": "nyfed", "start": "2025-11-15"}))
        assert unknown["state"] == "failed" and ["months", -1, "failed"] in unknown["tasks"]
        assert len(Store(home).attempts("nyfed", "effr")) == 3 + 6
