"""Row 57: a wrong configuration is refused at start, the key is named, its value is never printed."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include import pipeline
from include.core.errors import ConfigError
from include.settings import Settings, disabled, load
from include.sources import registry

CANARY = "s3cr3t-canary"
WRONG = [
    ("CAPMIG_THREADS", "many"),
    ("CAPMIG_THREADS", "0"),
    ("CAPMIG_THREADS", "1e9"),
    ("CAPMIG_KEEP_VERSIONS", "2"),
    ("CAPMIG_KEEP_VERSIONS", CANARY),
    ("CAPMIG_FETCH_DEADLINE_S", "-1"),
    ("CAPMIG_FETCH_DEADLINE_S", CANARY),
    ("CAPMIG_FETCH_TRIES", "0"),
    ("CAPMIG_FETCH_TRIES", "4.5"),
    ("CAPMIG_RETRY_CAP_S", CANARY),
    ("CAPMIG_ALLOW_GUESSED", CANARY),
    ("CAPMIG_CLOCK", CANARY),
    ("CAPMIG_CLOCK", "2026-01-23 03:07"),
    ("CAPMIG_CLOCK", "2026-13-01T00:00Z"),
    ("CAPMIG_BASE_URL__NYFED", CANARY),
    ("CAPMIG_BASE_URL__NYFED", f"http://{CANARY}.example.org"),
    ("CAPMIG_BASE_URL__NYFED", f"https://user:{CANARY}@example.org"),
    ("CAPMIG_BASE_URL__NYFED", f"ftp://example.org/{CANARY}"),
    ("CAPMIG_BASE_URL__NOBODY", f"https://example.org/{CANARY}"),
    ("CAPMIG_TREADS", CANARY),
    ("CAPMIG_WAREHOUSE", CANARY),
    ("CAPMIG_", CANARY),
]


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_row_57_a_wrong_key_is_named_and_its_value_is_not(
    key: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, exit code 2, the key, the rule and what to do."""
    monkeypatch.setenv(key, value)
    with pytest.raises(ConfigError) as refused:
        load()
    line = str(refused.value)
    assert key in line
    assert "\n" not in line
    assert CANARY not in line
    assert "[config." in line
    assert refused.value.exit_code == 2


@pytest.fixture(scope="module")
def loaded() -> Settings:
    """What a module's fixture loads, which comes before those of its tests."""
    return load()


def test_a_fixture_of_a_module_has_a_clean_configuration(loaded: Settings) -> None:
    """The next test runs it once more where the shell has keys of ours."""
    assert loaded.threads == 2


def test_no_key_of_a_shell_reaches_a_test() -> None:
    """Neither a known one nor a wrong one."""
    name = f"{__file__}::{test_a_fixture_of_a_module_has_a_clean_configuration.__name__}"
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name], capture_output=True, text=True,
                          env=os.environ | {"CAPMIG_X": "1", "CAPMIG_THREADS": "7"})  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]


def test_an_empty_key_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """`CAPMIG_THREADS=` in a file means the default."""
    monkeypatch.setenv("CAPMIG_THREADS", "")
    assert load().threads == 2


def test_a_secret_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A key may stand in a file; a missing file is an error, not an absent key."""
    source, _ = pipeline.find_feed("sosovalue", "history_btc")
    held = tmp_path / "key"
    held.write_text("abc\n")
    monkeypatch.setenv("SOSOVALUE_API_KEY_FILE", str(held))
    assert load().key(source) == "abc"
    held.unlink()
    with pytest.raises(ConfigError, match="SOSOVALUE_API_KEY_FILE"):
        load().key(source)


def test_a_past_clock_never_stamps_what_a_real_host_answers_now(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The clock of a replay and a real host together are refused before anything is asked."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("CAPMIG_CLOCK", "2026-01-31T23:59:59Z")
    settings = load()
    assert settings.clock == datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
    with pytest.raises(ConfigError, match="real host"):
        pipeline.land(settings, "nyfed", "effr", run_id="r")
    assert pipeline.Store(tmp_path).attempts("nyfed", "effr") == []


def test_the_record_delivers_saved_pages_whether_or_not_their_source_has_an_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A source that is never fetched has no base URL to be replayed at, and lands from the inbox all the same."""
    monkeypatch.setenv("CAPMIG_REPLAY", "1")
    monkeypatch.delenv("CAPMIG_BASE_URL__NYFED", raising=False)
    assert disabled(registry()["farside"]) == disabled(registry()["curated"]) == ""
    assert disabled(registry()["nyfed"]) == "the bundled record has nothing of it"


def test_the_commission_is_asked_only_by_somebody_who_can_be_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """sec.gov wants a contact in the User-Agent: without one the variable is named, with another text it is refused."""
    source = registry()["sec"]
    monkeypatch.delenv("SEC_USER_AGENT", raising=False)
    assert disabled(source) == "no key: set SEC_USER_AGENT, or SEC_USER_AGENT_FILE"
    monkeypatch.setenv("SEC_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64)")
    with pytest.raises(ConfigError) as caught:
        load().key(source)
    assert caught.value.rule == "config.contact" and "SEC_USER_AGENT" in str(caught.value)
    assert "Mozilla" not in str(caught.value)
    monkeypatch.setenv("SEC_USER_AGENT", "Example Research research@example.org")
    assert disabled(source) == "" and load().key(source) == "Example Research research@example.org"
