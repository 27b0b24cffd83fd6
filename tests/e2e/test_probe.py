"""`capmig probe` and `capmig new-source`: what a person runs first on a connected machine, and to add a source."""

import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include import pipeline, scaffold
from include.core.errors import ConfigError
from include.core.source import Source
from include.landing.probe import keep, probe
from include.replay import ReplayServer
from include.replay.encoders import absent
from include.settings import Settings, disabled
from include.sources import registry
from tests.conftest import capmig
from tests.e2e.declared import registered
from tests.faults.wire import Behaviour, Wire, answer
from tests.sources.test_contract import CHALLENGE

ROOT = Path(__file__).parents[2]
CLOCK = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
EFFR = (ROOT / "tests/sources/cases/nyfed/effr__ordinary.json").read_bytes()
RENAMED = EFFR.replace(b"percentRate", b"ratePercent")
ADDED = EFFR.replace(b'"percentRate"', b'"footnote": "", "percentRate"')


def asked(tmp_path: Path, behaviour: Behaviour, source_id: str = "nyfed") -> list:
    """What a probe of the source's first feed finds where a server behaves so."""
    source = registry()[source_id]
    with Wire(behaviour) as wire:
        settings = Settings(warehouse_home=tmp_path, clock=CLOCK, base_urls={source_id: wire.url})
        return [probe(settings, source, source.feeds[0]), wire]


@pytest.mark.parametrize(
    ("behaviour", "verdict", "words", "rule"),
    [
        (answer(EFFR), "as declared", "rows", ""),
        (answer(ADDED), "as declared", "rows; beside what is read, new: footnote", ""),
        (answer(RENAMED), "drifted", "ratePercent revisionIndicator volumeInBillions, gone: percentRate", "G1.empty"),
        (answer(b'{"message": "moved"}'), "drifted", "refRates", "G1.columns"),
        (answer(b"<!DOCTYPE html><html><body>Bad gateway</body></html>"), "drifted", "HTML", "G1.sniff"),
        (answer(CHALLENGE), "blocked", "challenge page", "G1.sniff"),
        (answer(b"{}", 451), "blocked", "451", "L.status_4xx"),
        (answer(b"{}", 429), "blocked", "rate limited", "L.rate_limited"),
        (answer(b"{}", 404), "unreachable", "404", "L.status_4xx"),
    ],
)
def test_a_probe_says_how_a_feed_answers(tmp_path: Path, behaviour: Behaviour, verdict: str, words: str, rule: str):
    """One request, a verdict, what changed beside the payload that was landed before; nothing is landed."""
    with ReplayServer(CLOCK) as server:
        before = Settings(warehouse_home=tmp_path, clock=CLOCK, base_urls={"nyfed": server.base_url("nyfed")})
        pipeline.land(before, "nyfed", "effr", run_id="before")
    known = pipeline.attempts_of(tmp_path)
    found, wire = asked(tmp_path, behaviour)
    assert (found.verdict, found.rule) == (verdict, rule)
    assert words in found.detail
    assert len(wire.heads) == 1
    assert pipeline.attempts_of(tmp_path) == known


def test_a_host_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    """No trace, one line."""
    done = capmig(tmp_path, "probe", "nyfed", CAPMIG_BASE_URL__NYFED="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["unreachable   nyfed/effr: the host takes no connection [L.connect]",
                                        "1 unreachable"]  # fmt: skip
    wrong = capmig(tmp_path, "probe", "nysed")
    assert (wrong.returncode, wrong.stderr) == (
        2, "capmig: no source 'nysed' [config.unknown_source] -> use one of LICENSE-DATA.md: nyfed\n")  # fmt: skip


def test_too_few_rows_are_too_few_for_a_probe_and_for_landing(tmp_path: Path) -> None:
    """A feed that may be empty is not for that reason allowed to be half there."""
    source = registry()["nyfed"]
    feed = replace(source.feed("effr"), min_rows=1000, empty_ok="toy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry(), "nyfed", replace(source, feeds=(feed,)))
        found, _ = asked(tmp_path, answer(EFFR))
        with Wire(answer(EFFR)) as wire:
            settings = Settings(warehouse_home=tmp_path, clock=CLOCK, base_urls={"nyfed": wire.url})
            (landed,) = pipeline.land(settings, "nyfed", "effr", run_id="few")
    assert (found.verdict, found.rule, found.detail) == ("drifted", landed.rule, landed.reason)
    assert (landed.outcome, landed.rule) == ("REJECTED", "G1.empty")


def test_the_replayed_sources_are_as_declared(tmp_path: Path) -> None:
    """Every feed that the bundled record answers keeps its own contract, through the command."""
    with ReplayServer(CLOCK) as server:
        urls = {f"CAPMIG_BASE_URL__{name}": server.base_url(name.lower()) for name in ("NYFED", "UST", "MOF")}
        done = capmig(tmp_path, "probe", "nyfed", "ust", "mof", "--keep", str(tmp_path / "kept"),
                      CAPMIG_CLOCK="2026-01-31T23:59:59Z", CAPMIG_REPLAY=",".join(absent(CLOCK)), **urls)  # fmt: skip
    assert done.returncode == 0, done.stdout
    asked = [line for line in done.stdout.splitlines()[:-1] if not line.startswith("disabled      ust/par_curve_month")]
    assert len(asked) > 6 and all(line.startswith(("as declared", " ")) for line in asked)
    assert {p.parent.name for p in (tmp_path / "kept").rglob("*.expected.csv")} == {"nyfed", "ust", "mof"}


def test_a_feed_of_which_nothing_is_due_is_not_asked(tmp_path: Path) -> None:
    """At night nobody is sure which session the options count, and the watch list of transfers is empty: said, not green."""
    done = capmig(
        tmp_path, "probe", "occ", CAPMIG_BASE_URL__OCC="http://127.0.0.1:9", CAPMIG_CLOCK="2026-01-30T05:00:00Z"
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "11 not asked"


def test_what_is_kept_is_a_case_of_the_contract_test(tmp_path: Path) -> None:
    """Bytes that are read come with their rows, bytes that are refused with their rule."""
    good, _ = asked(tmp_path, answer(EFFR))
    bad, _ = asked(tmp_path, answer(RENAMED))
    source = registry()["nyfed"]
    path = keep(good, source.feeds[0], tmp_path / "cases", CLOCK)
    assert path.read_bytes() == EFFR
    stated = (ROOT / "tests/sources/cases/nyfed/effr__ordinary.expected.csv").read_text(encoding="utf-8").split()
    assert sorted(path.with_suffix(".expected.csv").read_text(encoding="utf-8").split()) == sorted(stated)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot keep the case"):
        keep(good, source.feeds[0], tmp_path / "file", CLOCK)
    shutil.rmtree(tmp_path / "cases")
    path = keep(bad, source.feeds[0], tmp_path / "cases", CLOCK)
    assert path.with_suffix(".refused").read_text(encoding="utf-8") == "G1.empty\n"


def test_a_source_without_its_key_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is named; with a key in a file it is asked, and the key stands nowhere."""
    keyed = keyed_source()
    with registered(keyed), Wire(answer(EFFR)) as wire:
        settings = Settings(warehouse_home=tmp_path, clock=CLOCK, base_urls={"keyed": wire.url})
        found = probe(settings, keyed, keyed.feeds[0])
        assert (found.verdict, found.detail) == ("disabled", "no key: set KEYED_API_KEY, or KEYED_API_KEY_FILE")
        with pytest.raises(ConfigError, match="disabled: no key"):
            pipeline.land(settings, "keyed", keyed.feeds[0].name, run_id="r")
        assert wire.heads == [] and "keyed" in {row["source"] for row in pipeline.disabled_sources()}
        (tmp_path / "key").write_text("s3cret\n")
        monkeypatch.setenv("KEYED_API_KEY_FILE", str(tmp_path / "key"))
        pipeline.land(settings, "keyed", keyed.feeds[0].name, run_id="r")
        assert b"X-Key: s3cret" in wire.heads[0]
    held = [p for p in tmp_path.rglob("*") if p.is_file() and p.name != "key" and b"s3cret" in p.read_bytes()]
    assert held == []


def keyed_source() -> Source:
    """A source that is nothing without a key."""
    return replace(registry()["nyfed"], source_id="keyed", key_env="KEYED_API_KEY", key_header="X-Key",
                   key_required=True)  # fmt: skip


def test_a_guessed_contract_is_off_until_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """`CAPMIG_GUESSED=a,b`; and a run on the bundled record asks only what is on it."""
    guessed = replace(registry()["nyfed"], source_id="guess", verified="guessed")
    assert disabled(guessed).startswith("its contract is a guess")
    monkeypatch.setenv("CAPMIG_GUESSED", "other,guess")
    assert disabled(guessed) == ""
    monkeypatch.setenv("CAPMIG_REPLAY", "1")
    assert disabled(guessed) == "the bundled record has nothing of it"
    assert disabled(registry()["curated"]) == ""


def test_a_new_source_passes_the_contract_from_its_first_minute(tmp_path: Path) -> None:
    """In a copy of the checkout: the two files, their contract test, and refusals before anything is written."""
    for folder in ("include", "tests", "dbt_project"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "target", "pack")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    made = scaffold.write(tmp_path, "macro", "snb", set(registry()))
    assert {p.relative_to(tmp_path).parts[:3] for p in made} == {
        ("include", "sources", "macro"), ("tests", "sources", "cases")
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/sources/test_contract.py", "-k", "snb", "-p", "no:cacheprovider"],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert int(done.stdout.split(" passed")[0].split()[-1]) > 20
    before = sorted(tmp_path.rglob("*snb*"))
    for domain, name in (("macro", "snb"), ("macro", "../up"), ("macro", "nyfed"), ("other", "abc")):
        with pytest.raises(ConfigError):
            scaffold.write(tmp_path, domain, name, set(registry()))
    assert sorted(tmp_path.rglob("*snb*")) == before
