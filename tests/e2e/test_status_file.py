"""`serve/status.json` and the badge: what a monitor reads without opening the warehouse."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from lxml import etree

from include import pipeline
from include.answers import status
from include.settings import Settings, load
from include.warehouse import publish
from tests.conftest import capmig

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def settings(pack_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A warehouse of one's own that serves the pack's version."""
    shutil.copytree(pack_home, tmp_path / "home", ignore=shutil.ignore_patterns("run-*", "asof", "dbt"))
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path / "home"))
    return load()


def written(settings: Settings) -> dict:
    """The status file as a monitor parses it."""
    return json.loads((settings.home / "serve" / pipeline.STATUS).read_bytes())


def test_it_says_what_the_warehouse_says(settings: Settings) -> None:
    """Version, instants and counts equal those of the served tables, and it was written by the run that published."""
    done = capmig(settings.home, "sql", "select seq, cutoff_at, n_labels, n_holds, marts_hash, "
                  "(select count(*) from ops.fct_gate_result where outcome = 'label') as label, "
                  "(select count(*) from marts.mart_daily_brief where section = 'late') as late "
                  "from ops.fct_publication", "--format", "json")  # fmt: skip
    (row,) = json.loads(done.stdout)
    said = written(settings)
    assert (said["version"], said["cutoff_at"], said["marts_hash"]) == (row["seq"], row["cutoff_at"], row["marts_hash"])
    assert (said["n_labels"], said["n_holds"], len(said["late"])) == (row["n_labels"], row["n_holds"], row["late"])
    assert said["gate"]["label"] == row["label"] and said["canary"] is None
    assert said["state"] == ("attention" if row["late"] or row["n_holds"] else "ok")


def test_the_same_version_gives_the_same_bytes(settings: Settings) -> None:
    """Nothing in it asks for the time; a heartbeat is stated with the instant at which it was judged."""
    before = (settings.home / "serve" / pipeline.STATUS).read_bytes()
    assert pipeline.status_step(settings) and (settings.home / "serve" / pipeline.STATUS).read_bytes() == before
    pipeline.beat(settings.model_copy(update={"clock": settings.clock - timedelta(minutes=16)}))
    assert pipeline.status_step(settings)
    said = written(settings)
    assert said["state"] == "alarm" and said["canary"] == {
        "beat_at": "2026-01-31T23:43:59.000000Z", "judged_at": "2026-01-31T23:59:59.000000Z", "age_s": 960, "stale": True,
    }  # fmt: skip
    assert "scheduler silent" in (settings.home / "serve" / pipeline.BADGE).read_text(encoding="utf-8")


@pytest.mark.parametrize("state", ["ok", "attention", "alarm"])
def test_the_badge_is_one_readable_line(state: str) -> None:
    """Well-formed SVG with a name for screen readers; no script, no font, nothing fetched; colours that can be read."""
    said = {"state": state, "version": 12, "cutoff_at": "2026-01-31T23:59:59Z", "n_labels": 14, "n_holds": 2,
            "late": [{"source": "x", "feed": "<script>", "missing": "&", "why": None}]}  # fmt: skip
    picture = etree.fromstring(status.badge(json.dumps(said).encode()))
    assert picture.get("role") == "img" and picture.get("aria-labelledby") == picture.find(f"{SVG}title").get("id")
    title = picture.find(f"{SVG}title").text
    assert all(part in title for part in (state, "v12", "2026-01-31T23:59Z", "14 labels", "2 held", "1 late"))
    assert {element.tag.removeprefix(SVG) for element in picture.iter()} == {"svg", "title", "rect", "g", "text"}
    assert not any("href" in key for element in picture.iter() for key in element.attrib)
    colour = picture.findall(f"{SVG}rect")[1].get("fill")
    assert contrast(colour) >= 4.5


def contrast(colour: str) -> float:
    """WCAG contrast of a colour with white."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def test_a_file_that_cannot_be_written_fails_nothing(settings: Settings) -> None:
    """A directory in its place: the step says no, what is served stays, and `upkeep` writes it once it can."""
    file = settings.home / "serve" / pipeline.STATUS
    file.unlink()
    (file / "in the way").mkdir(parents=True)
    served = publish.current(settings.home)
    assert pipeline.status_step(settings) is False
    assert publish.current(settings.home) == served
    shutil.rmtree(file)
    pipeline.upkeep(settings)
    assert written(settings)["version"] == served.seq
