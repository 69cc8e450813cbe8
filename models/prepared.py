"""Queries whose SQL is written once and run often.

peewee takes 0.3 to 1 ms to write the SQL of a query and SQLite some 20 us to run it, so what stands in the way of a
delivery is prepared: with a dozen queries each, 200 deliveries a second would take several cores otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from peewee import Database, Query, Value


class _Slot:
    """Stands among a query's parameters for a value given at each run."""

    def __init__(self, name: str) -> None:
        self.name = name


def slot(name: str) -> Any:
    """A place in a query for the value called `name`. The value goes to the driver as it is given."""
    return Value(_Slot(name), converter=False)


def slots(*names: str) -> dict[str, Any]:
    """Slots for columns of the same names."""
    return {name: slot(name) for name in names}


class Prepared:
    """A query with slots. `build` makes it, the first time it is run on a kind of database."""

    def __init__(self, build: Callable[[], Query]) -> None:
        self._build = build
        self._compiled: dict[type[Database], tuple[str, list[Any]]] = {}

    def run(self, db: Database, **values: Any) -> Any:
        """Run it with a value for each slot and return the driver's cursor."""
        kind = type(db)
        if kind not in self._compiled:
            self._compiled[kind] = db.get_sql_context().sql(self._build()).query()  # type: ignore[no-untyped-call]
        sql, parameters = self._compiled[kind]
        given = [values[value.name] if isinstance(value, _Slot) else value for value in parameters]
        return db.execute_sql(sql, given)  # type: ignore[no-untyped-call]

    def one(self, db: Database, **values: Any) -> Any:
        """The first column of the first row, None without a row."""
        row = self.run(db, **values).fetchone()
        return None if row is None else row[0]
