"""Any bytes give rows or a refusal, nothing else: noise, recorded cases with bytes changed, and cells changed."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.core.errors import ContractError
from include.core.shapes import SCHEMAS, Parsed
from include.core.source import Feed, Source
from include.landing.runs import to_table
from include.landing.store import attempt_of
from include.sources import feeds
from tests.sources.wire import SEEN, cases, ordinary, payload, wires

FEEDS = [pytest.param(source, feed, id=f"{source.source_id}/{feed.name}") for source, feed in feeds()]
QUIET = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
TOKENS = ["", "-", "0", "-0.0", "1e18", "1E+19", "9" * 21, "0.1", "(1.0)", "1,000.0", "NaN", "0001-01-01",
          "9999-12-31", "31 Dec 9999", "01 Jan 0001", "12/31/9999", "S99.1.1", "R99.12.31", "\u00a0", "\uff11",
          "<td>", "</table>", '"', "'", "\\", ",", "\n", "\r",
          "null", "[]", "{}", "true", "{{ x }}", "'; drop table", "=cmd()"]  # fmt: skip


def noise(source: Source, feed: Feed) -> st.SearchStrategy[bytes]:
    """Bytes of any kind, recorded cases with a few bytes changed, and the ordinary case with a few cells changed."""
    recorded = [path.read_bytes() for path in cases(source.source_id, feed)]
    table = None if wires(source.source_id)[feed.name].prose else ordinary(source.source_id, feed)

    def spoil(seed: int) -> bytes:
        dice = random.Random(seed)  # noqa: S311 - repeatable
        body = bytearray(dice.choice(recorded))
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(body))
            body[at : at + dice.randint(0, 9)] = dice.choice([b"", dice.randbytes(3), dice.choice(TOKENS).encode()])
            body = body or bytearray(b" ")
        return bytes(body)

    def refill(picks: list[tuple[int, int, str]]) -> bytes:
        changed = table.copy()
        for row, column, cell in picks:
            changed.rows[row % len(changed.rows)][changed.columns[column % len(changed.columns)]] = cell
        return changed.dump()

    anything = st.binary(max_size=300) | st.integers(0, 2**64).map(spoil)
    if table is None:
        return anything
    picks = st.tuples(st.integers(0, 99), st.integers(0, 99), st.sampled_from(TOKENS) | st.text(max_size=20))
    encodable = st.lists(picks, min_size=1, max_size=4).filter(lambda found: _fits(found, table.wire.codec))
    return anything | encodable.map(refill)


def _fits(picks: list[tuple[int, int, str]], codec: str) -> bool:
    try:
        "".join(cell for _, _, cell in picks).encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def keeps_the_contract(source: Source, feed: Feed, body: bytes) -> None:
    """Rows that fit their Arrow schema, or one line of refusal."""
    try:
        parsed = feed.parse(payload(body))
    except ContractError as error:
        assert "\n" not in str(error) and error.rule.startswith("G1.")
        return
    assert isinstance(parsed, Parsed)
    assert all(row.event_date <= SEEN.date() for row in parsed.rows)
    attempt = attempt_of(source.source_id, feed.name, "r", SEEN, SEEN, vintage_kind="first_seen", origin="t",
                         outcome="LANDED", sha256="0" * 64)  # fmt: skip
    assert to_table(source, feed, attempt, parsed.rows).schema.equals(SCHEMAS[feed.shape])


@pytest.mark.parametrize(("source", "feed"), FEEDS)
def test_any_bytes_are_rows_or_a_refusal(source: Source, feed: Feed) -> None:
    """50 examples a feed with every change."""
    check = given(noise(source, feed))(lambda body: keeps_the_contract(source, feed, body))
    settings(max_examples=50, derandomize=True, **QUIET)(check)()


@pytest.mark.soak
@pytest.mark.parametrize(("source", "feed"), FEEDS)
def test_many_more_bytes_are_rows_or_a_refusal(source: Source, feed: Feed) -> None:
    """10,000 examples a feed, others every time."""
    check = given(noise(source, feed))(lambda body: keeps_the_contract(source, feed, body))
    settings(max_examples=10_000, **QUIET)(check)()
