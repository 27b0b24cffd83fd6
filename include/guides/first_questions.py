# First questions: a notebook as a plain Python file. Open it where `# %%` cells are understood (VS Code, PyCharm,
# Spyder, Jupyter with jupytext), or run it whole: `python include/guides/first_questions.py`. Needs a published
# warehouse, e.g. after `make run`; WAREHOUSE_HOME says where, `./warehouse` otherwise.

# %% What is served, and as known when?
from include import connect

door = connect()
print(door)


def ask(question: str, sql: str, **params: object) -> list[dict]:
    """Ask the open door and show the answer: exact decimals, NULL where a figure is absent."""
    answer = door.sql(sql, **params).rows()
    print(f"\n{question}")
    for row in answer:
        print("  ", ", ".join(f"{name} {value}" for name, value in row.items()))
    return answer


# %% The first screen: one line a headline, with its grade
headlines = ask(
    "What happened?",
    "select headline, value_text, grade, status, who_says_it from marts.mart_daily_brief "
    "where section = 'headline' order by headline_no",
)

# %% ETF flows of the last sessions. `obs_status` says whether the sum is whole; a partial one is no small one.
flows = ask(
    "Where did ETF money go?",
    "select session_date, asset, net_flow_usd, obs_status, n_funds_reported, n_funds_listed, grade "
    "from marts.fct_etf_flow_agg_daily where asset = $asset order by session_date desc limit 5",
    asset="BTC",
)

# %% How was one day known over time? Every figure is a version, half-open from `known_from` to `known_to`.
versions = ask(
    "How did the newest revised figure come about?",
    "select series_id, event_date, source_id, version_no, value, obs_status, known_from, known_to "
    "from marts.fct_observation where (series_id, source_id, event_date) in (select (series_id, source_id, event_date) "
    "from marts.fct_revision order by known_from desc, series_id limit 1) order by version_no",
)

# %% How wide is the gap between US and Japanese rates?
gap = ask(
    "What does carry pay?",
    "select event_date, tenor, diff_bp, grade, known_from from marts.fct_rate_differential_daily "
    "where diff_bp is not null order by event_date desc, tenor limit 5",
)

# %% What is missing? A gap is a row, never a zero.
missing = ask(
    "What do we not have?",
    "select state, count(*) as n_days from marts.mart_coverage_calendar group by state order by state",
)

# %% What does a column mean?
words = ask(
    "What does it mean?",
    "select column_name, meaning from marts.data_dictionary where table_name = 'fct_etf_flow_agg_daily' and is_key",
)

# %% The same at an instant of the past: `connect("2026-01-23T03:07Z")` builds that warehouse once, then keeps it.
door.close()
