"""The key of every published table, as the dbt project tests it: there it is said, and nowhere else."""

from dataclasses import dataclass
from functools import cache

import yaml

from include.settings import ROOT


@dataclass(frozen=True, slots=True)
class Key:
    """The columns that name a row. `never_null`: none of them is NULL in any row, so they may be a primary key."""

    columns: tuple[str, ...]
    never_null: bool


@cache
def keys() -> dict[str, Key]:
    """Keys by model name: the `unique_combination` over a whole table, with `never_null`, in the models' YAML."""
    found = {}
    for path in sorted((ROOT / "dbt_project" / "models").rglob("*.yml")):
        said = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        for model in said.get("models") or []:
            tests = [(name, body) for test in model.get("data_tests", []) for name, body in test.items()]
            # Among the rows that a `where` picks, another key may hold.
            whole = {
                name: body["arguments"]["columns"]
                for name, body in tests
                if name in ("unique_combination", "never_null") and "where" not in body.get("config", {})
            }
            if "unique_combination" in whole:
                columns = tuple(whole["unique_combination"])
                found[model["name"]] = Key(columns, set(columns) <= set(whole.get("never_null", ())))
    return found
