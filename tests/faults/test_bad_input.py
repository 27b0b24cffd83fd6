"""What a new user gets wrong: one line that names source, rule and action, and nothing lost."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include import pipeline, settings
from include.core.errors import CapmigError, IntegrityError
from include.core.parse import MAX_CELLS
from include.landing import runs
from include.landing.land import import_file
from include.landing.store import Store
from include.replay.farside import _btc
from include.replay.farside import page as farside_page
from include.warehouse import publish
from tests.conftest import capmig

CLOCK = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> settings.Settings:
    """Settings of an empty warehouse at the pack's clock."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CAPMIG_CLOCK", CLOCK.isoformat())
    return settings.load()


def btc_page() -> bytes:
    """A saved page of the bundled record, as of its end."""
    *_, (_, _, table, _) = _btc(CLOCK)
    return farside_page("btc", table, len(table))


def one_line(done: subprocess.CompletedProcess[str], *named: str) -> None:
    """A refusal: an exit code, one line, and the words that it must hold."""
    assert done.returncode in (1, 2), done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in (*named, "[", "->")), done.stderr


@pytest.mark.parametrize("name", ["btc-2026.html", "btc__20260135T100000Z.html", "doge__20260131T100000Z.html",
                                  "btc__20270101T000000Z.html"])  # fmt: skip
def test_a_wrong_inbox_name_is_a_recorded_failure_and_stops_nothing(settled: settings.Settings, name: str) -> None:
    """It is told the right name once, on the source's first feed; the page beside it lands, the file stays."""
    folder = settled.home / "inbox" / "farside"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"<html>")
    (folder / "btc__20260131T100000Z.html").write_bytes(btc_page())
    before = pipeline.state_of(settled)
    attempts = pipeline.land(settled, "farside", "btc", run_id="r")
    assert [(a.outcome, a.rule) for a in attempts] == [("FAILED", "L.inbox_name"), ("LANDED", "")]
    assert name in attempts[0].reason
    assert "__20260131T235959Z.html with the UTC instant" in attempts[0].reason
    assert pipeline.land(settled, "farside", "eth", run_id="r") == []
    assert (folder / name).exists()
    assert f"FAILED farside/btc: inbox file {name!r}" in pipeline.run_summary(settled, before)


def test_what_lies_where_no_source_looks_is_said(settled: settings.Settings) -> None:
    """A misspelt folder, a fetched source's folder and a loose file; never silently passed over."""
    for name in ("farsid", "nyfed", "farside"):
        (settled.home / "inbox" / name).mkdir(parents=True)
    (settled.home / "inbox" / "page.html").write_bytes(b"x")
    told = [line for line in pipeline.run_summary(settled, ({}, 0)).splitlines() if line.startswith("IGNORED")]
    assert [line.split(":")[0] for line in told] == ["IGNORED inbox/'farsid'", "IGNORED inbox/'nyfed'",
                                                     "IGNORED inbox/'page.html'"]  # fmt: skip


def test_a_page_of_too_many_cells_is_refused_before_it_is_parsed(settled: settings.Settings, tmp_path: Path) -> None:
    """Few bytes may be many objects: refused by their count, kept as refused, and told what to do."""
    path = tmp_path / "page.html"
    path.write_bytes(btc_page() + b"<i>," * (MAX_CELLS // 2 + 1))
    told = import_file(settled, "farside", "btc", path, observed_at=CLOCK, run_id="r")
    assert (told.outcome, told.rule) == ("REJECTED", "G1.too_large")
    assert "350,000 are read one by one" in told.reason
    path.write_bytes(btc_page() + b"<i>" * 1000)
    assert import_file(settled, "farside", "btc", path, observed_at=CLOCK, run_id="r").outcome == "LANDED"


def test_text_that_is_not_utf_8_is_one_line(tmp_path: Path) -> None:
    """A file's name: nothing of it is acknowledged, and the bytes that were written are not silently forgotten."""
    home = tmp_path / "home"
    page = tmp_path / "\udcff.html"
    page.write_bytes(btc_page())
    one_line(capmig(home, "import", "farside", str(page), "--asset", "BTC", "--undated"), "cli.encoding")
    assert Store(home).verify()[0].startswith("landing/manifest/farside/btc.jsonl is missing")


def test_a_home_that_is_a_file_or_has_no_readable_clock(tmp_path: Path) -> None:
    """The configuration is at fault and is named; the disk is not."""
    (tmp_path / "file").write_text("x")
    for command in (["status"], ["build"], ["run", "--direct"]):
        one_line(capmig(tmp_path / "file", *command), "WAREHOUSE_HOME", "config.home")
    home = tmp_path / "home"
    home.mkdir()
    (home / "clock").write_bytes(b"\xff\x00\x80")
    one_line(capmig(home, "status"), "the file `clock`", "config.instant")


def test_words_that_say_nothing(tmp_path: Path) -> None:
    """A reason without a hold is refused; no command shows the help and no empty error; a wrong home is not sound."""
    one_line(capmig(tmp_path / "none", "publish", "--why", "so"), "--ack ID", "cli.why")
    one_line(capmig(tmp_path / "none", "status", "--verify"), "serve.empty", "WAREHOUSE_HOME")
    assert not (tmp_path / "none").exists()
    bare = capmig(tmp_path / "none")
    assert (bare.returncode, bare.stderr) == (2, "")
    assert "Usage: capmig" in bare.stdout


def test_a_warehouse_of_the_pack_never_goes_live(tmp_path: Path) -> None:
    """A clock of today does not make the pack's home a live one: refused before anything is asked or landed."""
    (tmp_path / "clock").write_text("2026-01-31T23:59:59Z")
    for clock in ("", "2100-01-01T00:00:00Z"):
        one_line(capmig(tmp_path, "run", "--live", "--direct", CAPMIG_CLOCK=clock), "replay", "config.mixed", "--live")
    assert [p.name for p in tmp_path.iterdir()] == ["clock"]


def test_ctrl_c_is_one_line() -> None:
    """A real interrupt while a command waits: said, with the code that a shell expects."""
    program = ("import os, signal, sys, threading; from include import cli; sys.argv = ['capmig', 'sql', '-']; "
               "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start(); cli.main()")  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as p:
        error = p.stderr.read()
    assert p.returncode == 130
    assert error.strip() == "capmig: stopped [cli.stopped] -> run it again: what had landed is kept"


def test_a_lost_manifest_is_found(settled: settings.Settings, tmp_path: Path) -> None:
    """Bytes without the manifest that vouches for them would be left out of every build: verify says so."""
    (tmp_path / "p.html").write_bytes(btc_page())
    import_file(settled, "farside", "btc", tmp_path / "p.html", observed_at=CLOCK, run_id="r")
    assert pipeline.verify(settled) == []
    (settled.home / "landing" / "manifest" / "farside" / "btc.jsonl").unlink()
    assert pipeline.verify(settled) == [
        "landing/manifest/farside/btc.jsonl is missing while bytes of its feed are kept"
    ]


def test_rows_that_were_cut_or_lost_come_again_and_damaged_bytes_are_named(
    settled: settings.Settings, tmp_path: Path
) -> None:
    """Derived files are rebuilt from what landed; what landed is never guessed at."""
    (tmp_path / "p.html").write_bytes(btc_page())
    import_file(settled, "farside", "btc", tmp_path / "p.html", observed_at=CLOCK, run_id="r")
    source, feed = pipeline.find_feed("farside", "btc")
    folder = runs.index_of(settled.home, source, feed).parent
    (day,) = folder.glob("2026*.parquet")
    whole = day.read_bytes()
    for harm in (lambda: day.unlink(), lambda: (day.chmod(0o644), day.write_bytes(whole[:100]))):
        harm()
        assert not runs.is_whole(settled.home, source, feed)
        runs.derive(settled.home, source, feed, CLOCK)
        assert runs.is_whole(settled.home, source, feed)
        assert day.read_bytes() == whole
    (raw,) = (settled.home / "landing" / "raw" / "farside" / "btc").iterdir()
    raw.chmod(0o644)
    raw.write_bytes(raw.read_bytes() + b"x")
    day.unlink()
    with pytest.raises(IntegrityError) as stopped:
        runs.derive(settled.home, source, feed, CLOCK)
    assert raw.name in str(stopped.value)
    assert issubclass(type(stopped.value), CapmigError)


def test_a_publish_replaces_a_served_file_that_was_damaged(pack_home: Path, tmp_path: Path) -> None:
    """Equal inputs are no reason to let a damaged file stand; lost rows are derived again on the way."""
    home = tmp_path / "home"
    shutil.copytree(pack_home, home, ignore=shutil.ignore_patterns("run-*", "asof", "dbt", "airflow"))
    before = publish.current(home)
    served = publish.served_file(home)
    served.chmod(0o644)
    with served.open("r+b") as file:
        file.seek(20_000)
        file.write(b"garbage")
    cut = next((home / "rows" / "page").glob("mof__jgbcm/2026*.parquet"))
    cut.unlink()
    one_line(capmig(home, "sql", "select 1"), "serve.unreadable")
    done = capmig(home, "publish")
    assert done.returncode == 0, done.stderr
    assert "published version" in done.stdout
    assert "INFO:" not in done.stderr
    assert publish.is_whole(home)
    assert publish.current(home).hashes == before.hashes
