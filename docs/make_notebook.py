"""Run docs/notebook.ipynb and keep what its cells give: `python docs/make_notebook.py`.

Cells run in order, in one namespace, in an empty folder. What a cell prints and what its last expression
shows are its outputs, as in Jupyter. Of a cell tagged `machine` none are kept: they differ by machine.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("notebook.ipynb")
Cell = dict[str, Any]


def cells() -> list[Cell]:
    """The cells as they are in the file."""
    return list(json.loads(FILE.read_text(encoding="utf-8"))["cells"])


def run(found: list[Cell], folder: Path) -> list[Cell]:
    """The cells with the outputs that they give in this folder. Raises what they raise."""
    names: dict[str, Any] = {"__name__": "__main__"}
    ran, count = [], 0
    with contextlib.chdir(folder):
        for cell in found:
            if cell["cell_type"] != "code":
                ran.append(cell)
                continue
            count += 1
            outputs = outputs_of("".join(cell["source"]), names, count)
            kept = [] if "machine" in cell["metadata"].get("tags", ()) else outputs
            ran.append({**cell, "execution_count": count, "outputs": kept})
    return ran


def outputs_of(source: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """What a cell prints, and what its last expression shows."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": lines(printed.getvalue())})
    if value is not None:
        data = {"text/plain": lines(repr(value))}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = lines(value._repr_html_())
        outputs.append(
            {"data": data, "execution_count": count, "metadata": {}, "output_type": "execute_result"}
        )
    return outputs


def lines(text: str) -> list[str]:
    """A text as notebooks have it."""
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    whole = json.loads(FILE.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as place:
        whole["cells"] = run(whole["cells"], Path(place))
    FILE.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
