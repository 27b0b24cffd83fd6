"""Money is never a float: no figure in dollars is made of a double, in any model, by however many steps."""

import json
from collections import defaultdict
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path

import duckdb
import pytest
from jinja2 import Environment, FileSystemLoader

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
INEXACT = {"/", "avg", "mean", "ln", "log", "exp", "sqrt", "pow", "power", "**", "stddev", "var_samp"}
# what an expression is made of; conditions, filters, partitions and orders choose a figure, they do not make it
MADE_OF = ("child", "children", "then_expr", "else_expr", "case_checks", "left", "right")


def parts(node: object) -> Iterator[dict]:
    """Every object of a statement's tree."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from parts(value)
    elif isinstance(node, list):
        for value in node:
            yield from parts(value)


def columns(tree: object) -> dict[str, list[dict]]:
    """The expressions that a statement gives a name, in any of its selects."""
    named = defaultdict(list)
    for node in parts(tree):
        for item in node.get("select_list") or ():
            named[item["alias"] or (item.get("column_names") or [""])[-1]].append(item)
            for replaced in item.get("replace_list") or ():
                named[replaced["key"]].append(replaced["value"])
    return named


def inexact(named: dict[str, list[dict]], start: str) -> list[str]:
    """What makes a double on the way to a column, by name: casts, divisions, means."""
    found, seen, open_ = [], set(), [start]
    while open_:
        name = open_.pop()
        if name in seen:
            continue
        seen.add(name)
        nodes = list(named.get(name, ()))
        while nodes:
            node = nodes.pop()
            if (node.get("cast_type") or {}).get("id") in ("DOUBLE", "FLOAT") or node.get("function_name") in INEXACT:
                found.append(f"{name}: {node.get('function_name', 'cast')}")
            open_ += (node.get("column_names") or [])[-1:]
            for key in MADE_OF:
                below = node.get(key) or ()
                nodes += [below] if isinstance(below, dict) else below
    return found


def serialized(con: duckdb.DuckDBPyConnection, statement: str) -> dict:
    """DuckDB's own tree of a statement."""
    tree = json.loads(con.execute("select json_serialize_sql($1::varchar)", [statement]).fetchone()[0])
    assert not tree["error"], tree
    return tree


def test_no_dollar_passes_through_a_double(pack_home: Path) -> None:
    """In the compiled statement of every model, from each column in dollars back to what the model reads."""
    newest = max(pack_home.glob("build/run-*"), key=lambda p: p.stat().st_mtime)
    paths = sorted((newest / "target" / "compiled" / "capital_migration" / "models").rglob("*.sql"))
    traced, wrong = 0, {}
    with duckdb.connect() as con:
        for path in paths:
            named = columns(serialized(con, path.read_text(encoding="utf-8")))
            for name in named:
                if name.endswith("_usd") or (name, path.stem) == ("value", "observation_derived"):
                    traced += 1
                    if found := inexact(named, name):
                        wrong[f"{path.stem}.{name}"] = found
    assert wrong == {}
    assert traced > 70


@pytest.mark.parametrize("statement", [
    "with a as (select q::double * p as made from t) select made::decimal(24, 2) as x_usd from a",
    "with a as (select avg(p) over (partition by k) as made from t) select case when k then made end as x_usd from a",
    "select * replace (coalesce(p, p / 2) as x_usd) from t",
])  # fmt: skip
def test_a_double_on_the_way_is_found(statement: str) -> None:
    """Behind a name, a window, a replaced column."""
    with duckdb.connect() as con:
        assert inexact(columns(serialized(con, statement)), "x_usd")


def macro(call: str) -> str:
    """The SQL of a macro call."""
    numbers = (PROJECT / "macros" / "numbers.sql").read_text(encoding="utf-8")
    environment = Environment(loader=FileSystemLoader(PROJECT), extensions=["jinja2.ext.do"])  # noqa: S701 - it is SQL
    return environment.from_string(numbers + "{{ " + call + " }}").render()


def test_products_and_proportions_are_exact_to_the_last_digit() -> None:
    """Against decimals of sixty digits: large and small, both signs, halves, and nothing over zero."""
    cases = [("123456789.12", "0.00000001", "3"), ("-99999999999.99", "123456789.87654321", "-7.00000003"),
             ("0.05", "1", "2"), ("-0.05", "1", "2"), ("31234567890.11", "410.00000001", "99999999.5"),
             ("1", "1", "0")]  # fmt: skip
    with duckdb.connect() as con, localcontext() as exact:
        exact.prec = 60
        for a, b, c in cases:
            sql = ", ".join(macro(call) for call in (
                f"product(\"'{b}'\", \"'{c}'\")", f"proportion(\"'{a}'\", \"'{b}'\", \"'{c}'\")",
                f"proportion(\"'{b}'\", '1', \"'{c}'\", 8)"))  # fmt: skip
            told = con.execute(f"select {sql}").fetchone()
            quotients = (None, None)
            if Decimal(c):
                quotients = (Decimal(a) * Decimal(b) / Decimal(c), Decimal(b) / Decimal(c))
            rounded = [q if q is None else q.quantize(Decimal(digit), rounding=ROUND_HALF_UP)
                       for q, digit in zip(quotients, ("0.01", "0.00000001"), strict=True)]  # fmt: skip
            assert told == (Decimal(b) * Decimal(c), *rounded), (a, b, c)
