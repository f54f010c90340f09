from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

import core
from core import errors
from core.embedders import available_embedders

LAYERS = ("core", "components", "pages", "samples")
MAY_IMPORT = {
    "core": {"core"},
    "components": {"components", "core"},
    "pages": {"pages", "components", "core", "samples"},
    "samples": {"samples", "core"},
    "app": {"components", "core"},
}
ONLY_IN = {
    "pymilvus": ("core/store.py", "core/engines.py", "core/milvus_errors.py"),
    "milvus_lite": ("core/engines.py",),
    "twelvelabs": ("core/embedders/twelvelabs",),
}
# Imported here, but pinned by the package that brings them: another version would not fit it.
BROUGHT_BY = {
    "starlette": "streamlit",
    "uvicorn": "streamlit",
    "anyio": "starlette",
    "grpcio": "pymilvus",
    "pydantic": "twelvelabs",
    "scipy": "scikit-learn",
    "threadpoolctl": "scikit-learn",
}
PUBLIC = [
    "BudgetExceeded",
    "Calibration",
    "Capabilities",
    "ChangePlan",
    "ChangeProgress",
    "Charge",
    "Cluster",
    "CollectionMismatch",
    "Comparison",
    "ConfigurationError",
    "Coverage",
    "CoverageRow",
    "Cut",
    "DuplicateRun",
    "Duplicates",
    "Embedder",
    "EmbedderBusy",
    "EmbedderError",
    "EmbedderRejected",
    "EmbedderUnavailable",
    "Estimate",
    "EvidenceError",
    "Explorer",
    "Filters",
    "Finding",
    "Heat",
    "Hit",
    "Job",
    "JobCancelled",
    "KnownModel",
    "LedgerEntry",
    "Library",
    "Limits",
    "MediaError",
    "MediaUnreachable",
    "ModelChange",
    "Moment",
    "Outlier",
    "Overview",
    "Part",
    "Period",
    "Prices",
    "Progress",
    "QueueState",
    "QuotaExceeded",
    "RankPair",
    "Recipe",
    "RecipeError",
    "Relevance",
    "ResultExpired",
    "SearchResult",
    "Searched",
    "SeekpointError",
    "Segment",
    "Settings",
    "SourceEstimate",
    "SourceLine",
    "Spending",
    "Stage",
    "StoreError",
    "StoreLocked",
    "StoreUnavailable",
    "Stretch",
    "Task",
    "TimelineError",
    "Trend",
    "TrendLine",
    "TrendPoint",
    "UnsupportedMedia",
    "Video",
    "available_embedders",
    "create_embedder",
    "open_library",
]


def sources(project: Path) -> list[Path]:
    return [
        project / "app.py",
        *(path for layer in LAYERS for path in sorted((project / layer).rglob("*.py"))),
    ]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""


def imported_tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def test_imports_only_point_from_the_screen_to_the_core(project: Path) -> None:
    ours = {*LAYERS, "app", "tests", "benchmarks"}
    wrong = [
        f"{path.relative_to(project)} imports {name}"
        for path in sources(project)
        for name in imported_tops(path) & ours
        if name not in MAY_IMPORT[path.relative_to(project).parts[0].removesuffix(".py")]
    ]
    assert wrong == []


def test_core_does_not_know_the_screen(project: Path) -> None:
    screen = {"streamlit", "starlette", "altair"}
    knowing = [p for p in (project / "core").rglob("*.py") if imported_tops(p) & screen]
    assert knowing == []


@pytest.mark.parametrize(("package", "homes"), ONLY_IN.items())
def test_an_outside_service_is_imported_only_where_it_is_at_home(
    project: Path, package: str, homes: tuple[str, ...]
) -> None:
    users = {str(p.relative_to(project)) for p in sources(project) if package in imported_tops(p)}
    assert users
    assert {user for user in users if not user.startswith(homes)} == set()


def test_the_public_face_of_core_is_exactly_this_list() -> None:
    assert core.__all__ == PUBLIC
    assert [name for name in PUBLIC if not hasattr(core, name)] == []


def test_the_tree_in_the_docstring_holds_every_error_under_its_parent() -> None:
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        branch = re.match(r"^([│├└─ ]*)(\w+)", line)
        if branch and isinstance(getattr(errors, branch[2], None), type):
            depth = len(branch[1]) // 4
            above[depth:] = [branch[2]]
            drawn[branch[2]] = above[depth - 1] if depth else "Exception"
    real = {
        name: kind.__base__.__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__base__
    }
    assert drawn == real


def listed_in(requirements: Path) -> set[str]:
    lines = requirements.read_text(encoding="utf-8").splitlines()
    return {re.split(r"[\[<>=~! ;#]", line)[0].lower() for line in lines} - {""}


def test_requirements_list_exactly_what_is_imported(project: Path) -> None:
    listed = listed_in(project / "requirements.txt")
    for_servers = listed_in(project / "requirements-server.txt")
    of_module = packages_distributions()
    # What made the built-in embedder's data files needs tools that the app never does.
    at_run_time = [path for path in sources(project) if "local_data" not in path.parts]
    tops = set().union(*(imported_tops(path) for path in at_run_time))
    foreign = tops - sys.stdlib_module_names - {*LAYERS, ""}
    used = {of_module[top][0].lower() for top in foreign}
    # pymilvus opens a file only when milvus-lite is installed beside it, and OpenTimelineIO writes
    # cut lists only with the adapter for them.
    beside = {"milvus-lite", "otio-cmx3600-adapter"}
    assert listed == (used - BROUGHT_BY.keys() - for_servers) | beside


@pytest.mark.parametrize(("package", "bringer"), BROUGHT_BY.items())
def test_what_is_not_listed_really_comes_with_its_bringer(package: str, bringer: str) -> None:
    assert any(re.match(rf"{package}\b", line) for line in requires(bringer) or [])


def variables(project: Path) -> set[str]:
    text = (project / "core" / "settings.py").read_text(encoding="utf-8")
    ours = r"SEEKPOINT_\w+|TWELVELABS_\w+|MILVUS_\w+|DATABASE_URL"
    return {
        node.args[0].value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
        and re.fullmatch(ours, node.args[0].value)
    }


@pytest.mark.parametrize("document", ["README.md", ".env.example"])
def test_every_variable_is_documented(project: Path, document: str) -> None:
    text = (project / document).read_text(encoding="utf-8")
    names = variables(project)
    assert len(names) >= 12
    assert {name for name in names if not re.search(rf"\b{name}\b", text)} == set()


def test_every_embedder_has_its_row_in_the_readme(project: Path) -> None:
    lines = (project / "README.md").read_text(encoding="utf-8").splitlines()
    rows = {match[1] for line in lines if (match := re.match(r"\| *`(\w+)`", line))}
    assert set(available_embedders()) - rows == set()
