"""The house: which module may import which, imports inside functions and for types alone included."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("space", "nas", "analysis")
COMMANDS = {
    "space": {"describe"},
    "nas": {"search", "measure", "export", "train", "evaluate"},
    "analysis": {"dashboard", "compare", "scale", "importance", "proxies", "agreement", "cli"},
}
# what these hand on is imported when it is asked for
LAZY = ("nas", "nas.data")
# the last act of a search: it writes its page
UPWARDS = {("nas.api.results", "analysis.page.page")}


def modules() -> dict[str, ast.Module]:
    """Every module by its name."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imported(tree: ast.Module, known: dict[str, ast.Module]) -> Iterator[str]:
    """The modules that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def named(tree: ast.Module) -> Iterator[str]:
    """What may be modules' names in a module's strings, as registries have them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.partition(":")[0]


def height(module: str) -> int:
    return PACKAGES.index(module.partition(".")[0])


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    known = modules()
    found = {name: set(imported(tree, known)) & known.keys() - {name} for name, tree in known.items()}
    for package in LAZY:
        found[package] = set()
    return found


def test_imports_run_from_analysis_over_nas_to_space(arrows):
    up = {(one, other) for one, others in arrows.items() for other in others if height(other) > height(one)}
    assert up == UPWARDS


def test_no_registry_names_a_module_above_it():
    known = modules()
    for module, tree in known.items():
        assert all(height(name) <= height(module) for name in named(tree) if name in known and "." in name)


def test_no_module_is_imported_by_what_it_imports(arrows):
    left = {name: others.copy() for name, others in arrows.items()}
    while ground := [name for name, others in left.items() if not others & left.keys()]:
        for name in ground:
            del left[name]
    assert not left  # else these lie on a circle, or above one


def test_a_folder_has_its_commands_at_the_top():
    for package, commands in COMMANDS.items():
        runnable = {
            path.stem
            for path in (ROOT / package).glob("*.py")
            if "__main__" in path.read_text(encoding="utf-8")
        }
        assert commands <= runnable
        assert all(path.is_dir() or path.stem in commands | {"__init__", "run"}
                   for path in (ROOT / package).glob("*.py") if package != "space")  # fmt: skip


def test_the_main_path_is_a_page_that_reads_from_top_to_bottom():
    text = (ROOT / "nas" / "run.py").read_text(encoding="utf-8")
    steps = ["def run(", "plan_of(settings)", "engine_of(plan", "open_record(plan", "train(plan",
             "finish(record", "def train(", "SearchController(", "engine.run(controller)"]  # fmt: skip
    assert [text.index(step) for step in steps] == sorted(text.index(step) for step in steps)
    assert (
        text.count("\n") < 160 and "import" not in text.partition("def run(")[2].partition("def plan_of")[0]
    )


def test_every_folder_says_what_it_holds():
    for package in PACKAGES:
        for path in (ROOT / package).rglob("__init__.py"):
            assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
