"""Rows as Python has them: a list of dictionaries that a notebook shows as a table."""

from __future__ import annotations

from typing import Any


class Table(list[dict[str, Any]]):
    """A list of rows, each a dictionary of plain values; the same whatever is installed."""

    @property
    def columns(self) -> list[str]:
        """The keys of the rows, in their order."""
        return list(dict.fromkeys(key for row in self for key in row))

    def to_pandas(self) -> Any:
        """The rows as a `pandas.DataFrame`. Raises `ImportError` where pandas is not installed."""
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_pandas() needs pandas: pip install pandas") from error
        return pd.DataFrame(list(self), columns=self.columns)

    def _repr_html_(self) -> str:
        from nas.api.html import table

        return table(self.columns, ([row.get(key) for key in self.columns] for row in self))
