"""Imports run one way: graph -> config -> method -> steps -> plan -> program -> engine -> cli.

Each unit (a module or a package of `bnntrain`) may import only from units that stand before it in
`ORDER`. A new unit gets a line there. Imports inside functions count like all others.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import bnntrain

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "bnntrain"

ORDER = (
    "errors",
    "limits",
    "paths",
    "sizes",
    "zip_files",
    "signals",
    "native",
    "isa",
    "graph",
    "config",
    "method",
    "layer_methods",
    "accounting",
    "steps",
    "plan",
    "arena",
    "inference",
    "schedule",
    "program",
    "data",
    "images",
    "exactness",
    "compatibility",
    "meters",
    "records",
    "packed",
    "preparation",
    "evaluation",
    "checkpoints",
    "engine",
    "runs",
    "text",
    "training",
    "samples",
    "changes",
    "classifier",
    "exports",
    "api",
    "latency",
    "kernel_cases",
    "footprint",
    "inventory",
    "calls",
    "step_table",
    "benchmark",
    "board",
    "machine",
    "page",
    "cli",
)
# Units that are narrower than their place in the order allows.
ONLY = {
    "limits": set(),
    "paths": {"errors"},
    "sizes": {"errors"},
    "zip_files": set(),
    "signals": set(),
    "native": set(),
    "isa": {"errors"},
    "graph": set(),
    "accounting": {"graph"},
    "schedule": {"config"},
    "data": {"errors", "paths", "native", "zip_files"},
    "meters": {"errors", "config", "native"},
    "records": {"errors", "zip_files"},
    "text": set(),
    "images": {"errors", "data"},
    "samples": {"errors", "paths", "data", "images"},
    "step_table": {"errors", "text"},
    "board": set(),
}
KERNEL_USERS = {
    "isa",
    "inference",
    "compatibility",
    "steps",
    "program",
    "data",
    "preparation",
    "kernel_cases",
    "calls",
    "step_table",
    "benchmark",
    "machine",
    "cli",
}
KERNELS = "kernels"
ITSELF = {"__version__", "__path__"}
"""What stands in the package's own file."""
HEAVY = ("matplotlib", "pooch", "PIL", "memory_profiler", "tqdm", "psutil")


def unit_of(path: Path) -> str:
    """Return the unit that a file belongs to; the package's entry points are units too."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and full dotted name of everything of `bnntrain` that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "bnntrain":
                yield node.lineno, name


FILES = sorted(PACKAGE.rglob("*.py"))


def units() -> set[str]:
    """Return all units that there are, without the two entry points."""
    return {unit_of(path) for path in FILES} - {"__init__", "__main__"}


def test_every_unit_has_a_place():
    assert units() == set(ORDER)


def test_the_order_is_kept():
    wrong = []
    for path in FILES:
        unit = unit_of(path)
        if unit in ("__init__", "__main__"):
            continue
        before = ONLY.get(unit, set(ORDER[: ORDER.index(unit)])) | {unit, *ITSELF}
        if unit in KERNEL_USERS:
            before.add(KERNELS)
        for line, name in imported(path):
            target = name.split(".")[1] if "." in name else ""
            if target not in before:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {unit} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_entry_points_import_what_they_start():
    assert not list(imported(PACKAGE / "__init__.py"))
    assert {name for _, name in imported(PACKAGE / "__main__.py")} == {"bnntrain.cli.main.main"}


def module_name(path: Path) -> str:
    """Return a file's dotted module name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_module_imports_itself_by_a_detour():
    modules = {module_name(path): path for path in FILES}
    graph = {}
    for module, path in modules.items():
        if module == "bnntrain":
            continue
        targets = set()
        for _, name in imported(path):
            target = name if name in modules else name.rpartition(".")[0]
            # A package's own files import their siblings, not the package.
            if target in modules and target not in ("bnntrain", module):
                targets.add(target)
        graph[module] = {t for t in targets if not module.startswith(f"{t}.")}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize(
    ("folder", "known"),
    [("kernels", {"kernels"}), ("bnntrain/native", {"native", "kernels", "__path__"})],
)
def test_compiled_modules_know_nothing_of_the_package(folder, known):
    sources = [
        path for end in ("py", "pyx", "pxi", "pxd") for path in (ROOT / folder).rglob(f"*.{end}")
    ]
    assert sources
    for path in sources:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            words = line.split()
            if words[:1] in (["import"], ["from"], ["cimport"]) and words[1].startswith("bnntrain"):
                unit = words[3] if words[1] == "bnntrain" else words[1].split(".")[1]
                assert unit in known, f"{path}:{number}"


def loaded_by(statement: str, of: str = "") -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after a statement.

    With `of`, those of a package instead.
    """
    script = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    names = [name.split(".") for name in done.stdout.split()]
    if of:
        return {parts[1] for parts in names if parts[0] == of and len(parts) > 1}
    return {parts[0] for parts in names}


@pytest.mark.parametrize("module", ["bnntrain.api", "bnntrain.cli.main"])
def test_heavy_libraries_wait_until_they_are_needed(module):
    assert loaded_by(f"import {module}") & set(HEAVY) == set()


def test_the_bare_package_is_light():
    assert loaded_by("import bnntrain") & {"numpy", "yaml", "msgspec", "click", *HEAVY} == set()


@pytest.mark.parametrize(
    "statement",
    [
        "from bnntrain import fit, prepare",
        "import bnntrain.cli.fit",
        "import bnntrain.cli.compare",
        "import bnntrain.cli.plan",
        "import bnntrain.cli.summary",
        "import bnntrain.cli.bench, bnntrain.cli.report",
    ],
)
def test_who_trains_or_plans_loads_nothing_of_what_classifies(statement):
    # Some MiB of the memory at rest, which a run has until its end.
    assert loaded_by(statement, of="bnntrain") & {"classifier", "samples", "exports"} == set()


@pytest.mark.parametrize("verb", ["plan", "summary", "report"])
def test_who_plans_loads_nothing_of_what_trains(verb):
    loaded = loaded_by(f"import bnntrain.cli.{verb}", of="bnntrain")
    assert loaded & {"training", "engine", "evaluation"} == set()


def test_a_name_of_the_package_is_that_of_the_api():
    api = importlib.import_module("bnntrain.api")
    assert {name: getattr(bnntrain, name) for name in bnntrain.__all__[:-1]} == {
        name: getattr(api, name) for name in bnntrain.__all__[:-1]
    }
