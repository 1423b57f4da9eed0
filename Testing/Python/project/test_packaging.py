"""The repository as a package: every file is listed, every layer imports only what it may, versions agree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "TissueElasticRegistration"
LIB = MODULE / "TissueElasticRegistrationLib"
CORE = LIB / "core"
RAW = "https://raw.githubusercontent.com/TissueElasticRegistration/SlicerTissueElasticRegistration/main/"
NOT_SOURCE = {
    *(".git", ".venv", "__pycache__", ".pytest_cache", ".ruff_cache", "build", "dist", "demo-output", "patient-data")
}

# The packages of the core, from the ground up: each imports only itself and those before it.
CORE_PACKAGES = [
    *("data", "physics", "preparation", "models", "evaluation", "registration"),
    *("stiffness", "estimation", "files", "reporting"),
]


def source_files(folder: Path) -> list[Path]:
    """All files below the folder that belong to the project (no caches, no build results)."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [p for p in files if not any(n in NOT_SOURCE or n.endswith(".egg-info") for n in p.relative_to(ROOT).parts)]


def python_files(folder: Path) -> list[Path]:
    return [path for path in source_files(folder) if path.suffix == ".py"]


def listed_files(cmake_file: Path) -> list[str]:
    """The file names in the two lists of the module's CMakeLists.txt."""
    text = re.sub(r"#.*", "", cmake_file.read_text())
    names = []
    for variable in ("MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"):
        lists = re.findall(rf"set\({variable}\b([^)]*)\)", text)
        assert len(lists) == 1, f"{variable} is set {len(lists)} times in {cmake_file}"
        names += lists[0].split()
    return names


def imported_modules(file: Path) -> set[str]:
    """Full names of all that a file imports, anywhere in it; relative names resolved, `from a import b` as a.b."""
    package = file.relative_to(MODULE if file.is_relative_to(MODULE) else ROOT).with_suffix("").parts[:-1]
    names = set()
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = list(package[: len(package) + 1 - node.level]) if node.level else []
            base = ".".join(start + ([node.module] if node.module else []))
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def imported_packages(file: Path) -> set[str]:
    return {name.split(".")[0] for name in imported_modules(file)}


def core_units() -> dict[str, list[Path]]:
    """The parts of the core by name: one file, or all files of a sub-package."""
    units: dict[str, list[Path]] = {}
    for file in python_files(CORE):
        unit = file.relative_to(CORE).with_suffix("").parts[0]
        if unit != "__init__":
            units.setdefault(unit, []).append(file)
    return units


def core_imports() -> dict[str, set[str]]:
    """For each part of the core the other parts it imports."""
    prefix = "TissueElasticRegistrationLib.core."
    graph = {}
    for unit, files in core_units().items():
        names = set().union(*(imported_modules(file) for file in files))
        graph[unit] = {name.removeprefix(prefix).split(".")[0] for name in names if name.startswith(prefix)} - {unit}
    return graph


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """The names along one circle of the graph, or an empty list."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return path[path.index(name) :] + [name]
        if name in done:
            return []
        for other in sorted(graph.get(name, ())):
            if circle := visit(other, [*path, name]):
                return circle
        done.add(name)
        return []

    return next((circle for name in sorted(graph) if (circle := visit(name, []))), [])


def run_python(code: str) -> str:
    """The output of a program in a fresh interpreter that finds only the module folder and the installed packages."""
    program = f"import sys; sys.path.insert(0, {str(MODULE)!r})\n{code}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=MODULE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- What Slicer packages -------------------------------------------------------------------------------------------


def test_cmake_lists_every_file_of_the_module_once():
    listed = listed_files(MODULE / "CMakeLists.txt")
    present = {str(p.relative_to(MODULE)) for p in source_files(MODULE)} - {"CMakeLists.txt"}
    assert len(listed) == len(set(listed)), "a file is listed twice"
    assert sorted(present - set(listed)) == [], "add these to TissueElasticRegistration/CMakeLists.txt"
    assert sorted(set(listed) - present) == [], "these are in TissueElasticRegistration/CMakeLists.txt but do not exist"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXTENSION_HOMEPAGE", r"https://\S+"),
        ("EXTENSION_CATEGORY", r"Registration"),
        ("EXTENSION_CONTRIBUTORS", r".+"),
        ("EXTENSION_DESCRIPTION", r".{40,}"),
        ("EXTENSION_ICONURL", r"https://\S+\.png"),
        ("EXTENSION_SCREENSHOTURLS", r"https://\S+\.png( https://\S+\.png)*"),
        ("EXTENSION_DEPENDS", r"PyTorch"),
    ],
)
def test_extension_metadata_is_one_quoted_line(name, value):
    text = (ROOT / "CMakeLists.txt").read_text()
    assert len(re.findall(rf'^set\({name} "{value}"\)$', text, re.MULTILINE)) == 1
    assert text.count(f"set({name}") == 1


def test_project_name_is_the_extension_name():
    assert re.findall(r"^project\((\w+)\)$", (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE) == [MODULE.name]


def missing_pictures(variable: str) -> list[str]:
    """The URLs of one metadata line that do not stand for a file of this repository."""
    urls = re.search(rf'set\({variable} "([^"]+)"\)', (ROOT / "CMakeLists.txt").read_text())[1].split()
    return [url for url in urls if url == url.removeprefix(RAW) or not (ROOT / url.removeprefix(RAW)).is_file()]


def test_catalog_icon_is_in_the_repository():
    assert missing_pictures("EXTENSION_ICONURL") == []


def test_catalog_screenshots_are_in_the_repository():
    assert missing_pictures("EXTENSION_SCREENSHOTURLS") == []


@pytest.mark.parametrize("name", ["README.md", "LICENSE.txt"])
def test_files_the_packager_needs_are_in_the_root(name):
    assert (ROOT / name).stat().st_size > 1000


def test_catalog_and_module_name_the_same_contributors():
    (in_catalog,) = re.findall(r'set\(EXTENSION_CONTRIBUTORS "(.+)"\)', (ROOT / "CMakeLists.txt").read_text())
    assert f'parent.contributors = ["{in_catalog}"]' in (MODULE / f"{MODULE.name}.py").read_text()


# --- Who may import what --------------------------------------------------------------------------------------------


def test_core_imports_only_what_it_stands_on():
    allowed = {"numpy", "torch", "SimpleITK", "TissueElasticRegistrationLib", *sys.stdlib_module_names}
    for file in python_files(CORE):
        assert imported_packages(file) <= allowed, file
        outside = {n for n in imported_modules(file) if re.match(r"TissueElasticRegistrationLib\.(scene|panel)\b", n)}
        assert not outside, file


def test_scene_imports_no_user_interface():
    for file in python_files(LIB / "scene"):
        assert not imported_packages(file) & {"qt", "ctk", "PySide6", "PythonQt", "torch"}, file
        assert not any(name.startswith("TissueElasticRegistrationLib.panel") for name in imported_modules(file)), file


def test_panel_contains_no_mathematics():
    allowed = {"qt", "ctk", "slicer", "vtk", "TissueElasticRegistrationLib", *sys.stdlib_module_names}
    late = {"PyTorchUtils"}  # Slicer's extension that installs torch, when it is needed first
    for file in (*python_files(LIB / "panel"), MODULE / f"{MODULE.name}.py"):
        found = imported_packages(file) - allowed - late
        assert found <= ({"numpy"} if file.name == f"{MODULE.name}.py" else set()), file  # the self test makes images


def test_module_opens_without_torch():
    for file in (*python_files(LIB / "panel"), *python_files(LIB / "scene"), MODULE / f"{MODULE.name}.py"):
        assert "torch" not in imported_packages(file), file


def test_nothing_at_run_time_needs_development_packages():
    development = {"training", "Testing", "matplotlib", "scipy", "pyamg", "pytest", "PySide6"}
    for file in python_files(MODULE):
        assert not imported_packages(file) & development, file


def test_core_imports_without_slicer_and_development_packages():
    blocked = ["slicer", "vtk", "vtkmodules", "qt", "ctk", "PySide6", "scipy", "matplotlib", "pyamg", "training"]
    output = run_python(f"""
import importlib, pkgutil
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"{{name}} is blocked in this test", name=name)
sys.meta_path.insert(0, Refuse())
import TissueElasticRegistrationLib.core as core
for module in pkgutil.walk_packages(core.__path__, core.__name__ + "."):
    importlib.import_module(module.name)
    print(module.name)
""")
    files = [file for file in python_files(CORE) if file != CORE / "__init__.py"]
    assert len(output.split()) == len(files)


def test_importing_the_library_loads_nothing_heavy():
    heavy = {"torch", "numpy", "SimpleITK", "slicer", "vtk"}
    output = run_python(f"import TissueElasticRegistrationLib; print(sorted({heavy!r} & set(sys.modules)))")
    assert output.strip() == "[]"


def test_core_consists_of_its_packages():
    assert sorted(core_units()) == sorted(CORE_PACKAGES)


def test_core_packages_import_only_earlier_ones():
    place = {name: number for number, name in enumerate(CORE_PACKAGES)}
    assert [(a, b) for a, names in core_imports().items() for b in names if place[b] > place[a]] == []


def module_imports() -> dict[str, set[str]]:
    """For each file of the library the other files it imports."""
    names = {".".join(file.relative_to(MODULE).with_suffix("").parts): file for file in python_files(LIB)}
    return {
        name: {part for full in imported_modules(file) for part in (full, full.rpartition(".")[0]) if part in names}
        for name, file in names.items()
    }


def test_no_file_of_the_library_imports_itself_in_a_circle():
    assert find_circle(module_imports()) == []


def test_no_two_files_of_the_library_have_one_name():
    names = [file.name for file in python_files(LIB) if file.name not in ("__init__.py", "__main__.py")]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_core_imports_have_no_circle():
    assert find_circle(core_imports()) == []
    assert find_circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


# --- Documents ------------------------------------------------------------------------------------------------------


DOCUMENTS = [path for path in source_files(ROOT) if path.suffix == ".md"]


def anchors(document: Path) -> set[str]:
    """What links into a document can name: its headings as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(document):
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", document.read_text())
    files = [(document.parent / path if path else document, anchor) for path, anchor in links]
    assert [str(file) for file, _ in files if not file.exists()] == []
    assert [(str(file), anchor) for file, anchor in files if anchor and anchor not in anchors(file)] == []


def test_readme_stays_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 160


def test_every_guide_is_linked_from_the_readme():
    readme = (ROOT / "README.md").read_text()
    guides = [*(ROOT / "Resources/Docs").iterdir(), ROOT / "training/README.md", ROOT / "Testing/README.md"]
    assert len(guides) > 5
    assert [str(guide) for guide in guides if f"({guide.relative_to(ROOT)})" not in readme] == []


# --- Form -----------------------------------------------------------------------------------------------------------


def test_text_files_have_unix_line_ends():
    kinds = {".py", ".txt", ".md", ".toml", ".yaml", ".sh", ".json", ".csv", ".ui", ".svg", ".html", ""}
    files = [path for path in source_files(ROOT) if path.suffix in kinds]
    assert len(files) > 10
    assert [str(path) for path in files if b"\r\n" in path.read_bytes()] == []


def test_python_files_stay_below_500_lines():
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in python_files(ROOT)}
    assert {name: length for name, length in lengths.items() if length >= 500} == {}


def test_version_has_one_source():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" in project["project"]["dynamic"]
    attribute = project["tool"]["setuptools"]["dynamic"]["version"]["attr"]
    assert attribute == "TissueElasticRegistrationLib.__version__"
    assert len(re.findall(r'^__version__ = "\d+\.\d+\.\d+"$', (LIB / "__init__.py").read_text(), re.MULTILINE)) == 1


def test_citation_and_changelog_know_the_version():
    version = run_python("import TissueElasticRegistrationLib as lib; print(lib.__version__)").strip()
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_installed_version_is_the_source_version():
    try:
        installed = metadata.version("tissue-elastic-registration")
    except metadata.PackageNotFoundError:
        pytest.skip("the package is not installed in this environment")
    assert installed == run_python("import TissueElasticRegistrationLib as lib; print(lib.__version__)").strip()


def test_commit_hooks_use_the_pinned_ruff():
    (pinned,) = re.findall(r"^ruff==\S+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r'"(ruff==[^"]+)"', hooks) == [pinned] * hooks.count("- id:")


def test_every_dependency_is_pinned_exactly():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + sum(project["optional-dependencies"].values(), [])
    names = {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", text)[0]).lower() for text in wanted}
    assert names - {"tissue-elastic-registration"} <= pinned
