"""The house rules of the design: who imports whom, what happens at import, what may stand in a tracked file."""

import ast
import configparser
import json
import os
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "orchestration"

# A part may import the parts of the lower lines, never its own line or a higher one.
LAYERS = [
    {"records", "settings", "headline", "webhook", "durable"},
    {"claims", "schema", "sources", "statistics", "trade_groups", "trade_numbers"},
    {
        "archive",
        "received",
        "plan",
        "expectations",
        "trade_text",
        "trade_ids",
        "trade_sums",
        "builder",
        "builder_worker",
        "freshness",
    },
    {"reduce", "reduce_pages", "plan_files", "archive_check"},
    {"workers"},
    {"warehouse", "alerts"},
    {"parquet"},
    {"load", "marts", "publish"},
    {"brief"},
    {"asking"},
    {"ingest"},
    {"status", "rebuild", "trace"},
    {"run"},
    {"defs"},
    {"definitions"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
SANDBOX_MAY_IMPORT = {"records", "settings"}
# They know what an answer is (sources/body.py), not who gave it.
KNOW_NO_UPSTREAM = {"archive", "received", "plan", "warehouse", "publish"}

FORBIDDEN_LIBRARIES = {
    "sources": {"dagster", "dagster_dbt", "dbt", "duckdb", "pandas", "great_expectations"},
    "expectations": {"dagster", "dagster_dbt", "dbt", "duckdb"},
    "statistics": {"dagster", "dagster_dbt", "dbt", "duckdb", "great_expectations", "requests"},
    "defs": {"duckdb", "requests", "urllib3", "http", "httpx", "aiohttp", "socket"},
    "records": {"dagster", "duckdb", "pandas", "great_expectations", "requests"},
    "settings": {"dagster", "duckdb", "pandas", "great_expectations", "requests"},
}
OPENS_DUCKDB = {"warehouse", "parquet", "publish"}
FORBIDDEN_NAMES = {"utils.py", "helpers.py", "common.py"}


def part_of(path: Path) -> str:
    """`defs` for orchestration/defs/raw.py, `settings` for orchestration/settings.py, `` for the package itself."""
    first = path.relative_to(PACKAGE).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports anywhere, relative ones resolved."""
    package = ["orchestration", *path.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def parts_imported(path: Path) -> set[str]:
    """The parts of the house that a file imports."""
    return {name.split(".")[1] for name in imports_of(path) if name.startswith("orchestration.")}


MODULES = sorted(PACKAGE.rglob("*.py"))
PARTS = {part_of(path) for path in MODULES}
TREES = {path: ast.parse(path.read_text(), str(path)) for path in MODULES}
IDS = [str(path.relative_to(PACKAGE)) for path in MODULES]


def tracked_files() -> list[Path]:
    """What git tracks or would track; without git, everything but what is built."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        built = {".venv", "data", "target", "logs", ".git"}
        paths = [path for path in ROOT.rglob("*") if not built.intersection(path.relative_to(ROOT).parts)]
    return sorted(path for path in paths if path.is_file())


# --- who imports whom


def test_every_part_of_the_house_has_its_place():
    unknown = PARTS - LEVEL.keys() - {"sandbox", ""}
    assert not unknown, f"say in LAYERS who may import {sorted(unknown)}"


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_imports_go_down_only(path: Path):
    part = part_of(path)
    allowed = {below for below in LEVEL if LEVEL[below] < LEVEL.get(part, -1)} | {part}
    if part == "sandbox":
        allowed = SANDBOX_MAY_IMPORT | {part}
    if part == "cli":
        allowed |= {"sandbox"}
    wrong = parts_imported(path) & PARTS - allowed
    assert not wrong, f"{part or 'orchestration'} may not import {sorted(wrong)}"


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(path) in KNOW_NO_UPSTREAM], ids=lambda p: p.name)
def test_storage_knows_no_upstream(path: Path):
    wrong = {name for name in imports_of(path) if re.match(r"orchestration\.sources(?!\.body\.)", name)}
    assert not wrong, f"{path.name} may not import {sorted(wrong)}"


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_libraries_stay_where_they_belong(path: Path):
    part = part_of(path)
    libraries = {name.split(".")[0] for name in imports_of(path)}
    wrong = libraries & FORBIDDEN_LIBRARIES.get(part, set())
    if part not in OPENS_DUCKDB:
        wrong |= libraries & {"duckdb"}
    assert not wrong, f"{part} may not know {sorted(wrong)}"


SQL = re.compile(
    r"\s*(select\s.+\sfrom\s|with\s+\w+\s+as\s*\(|insert\s+into\s|update\s+\w[\w.]*\s+set\s|delete\s+from\s"
    r"|(create|drop|alter)\s+(or\s+replace\s+)?(table|view|schema|macro)\s|attach\s+'|copy\s+\w+\s+(to|from)\s)",
    re.IGNORECASE | re.DOTALL,
)


def texts_of(tree: ast.AST) -> Iterator[str]:
    """String literals of a file, docstrings left out; of an f-string the constant parts joined."""
    docstrings, inside = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr):
                docstrings.add(first.value)
        if isinstance(node, ast.JoinedStr):
            inside |= set(node.values)
            yield "x".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings | inside:
            yield node.value


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(path) in ("defs", "definitions")], ids=str)
def test_dagster_code_holds_no_sql(path: Path):
    found = [text for text in texts_of(TREES[path]) if SQL.match(text)]
    assert not found, "SQL belongs into dbt or warehouse.py"


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ('query = "select a\\nfrom raw.t"', 1),
        ('run(f"delete from {table} where x")', 1),
        ('"""select a from b: the docstring of a module"""', 0),
        ('message = "select a partition, then materialize"', 0),
    ],
)
def test_the_sql_detector_tells_sql_from_words(code: str, count: int):
    assert sum(bool(SQL.match(text)) for text in texts_of(ast.parse(code))) == count


# --- the environment


def environment_reads(tree: ast.AST) -> list[int]:
    """Lines that read the environment. Passing it on whole to a child, and setting a variable, are no reads."""
    parent = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            lines += [node.lineno for alias in node.names if alias.name in ("environ", "getenv")]
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"):
            continue
        above = parent[node]
        passed_on = (
            isinstance(above, ast.Dict)
            or (isinstance(above, ast.keyword) and above.arg == "env")
            or (isinstance(above, ast.BinOp) and isinstance(above.op, ast.BitOr))
            or (isinstance(above, ast.Call) and isinstance(above.func, ast.Name) and above.func.id == "dict")
        )
        is_set = (isinstance(above, ast.Subscript) and isinstance(above.ctx, ast.Store | ast.Del)) or (
            isinstance(above, ast.Attribute)
            and above.attr in ("setdefault", "update", "pop")
            and isinstance(parent[parent[above]], ast.Expr)
        )
        if node.attr in ("getenv", "getenvb") or (node.attr == "environ" and not (passed_on or is_set)):
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_only_settings_reads_the_environment(path: Path):
    if part_of(path) != "settings":
        assert not environment_reads(TREES[path]), "let settings.py read it"


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_nothing_touches_the_environment_at_import(path: Path):
    def at_import(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                yield child
                yield from at_import(child)

    touched = [
        node.lineno
        for node in at_import(TREES[path])
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    ]
    assert not touched


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("import os\nhome = os.environ['HOME']", 1),
        ("import os\nhome = os.environ.get('HOME')", 1),
        ("import os\nhome = os.getenv('HOME')", 1),
        ("import os\nhome = os.environ.setdefault('HOME', '')", 1),
        ("from os import environ", 1),
        ("import os\nrun(command, env={**os.environ, 'A': '1'})", 0),
        ("import os\nrun(command, env=os.environ | {'A': '1'})", 0),
        ("import os\nos.environ['A'] = '1'", 0),
        ("import os\nold = os.environ.pop('A', None)", 1),
        ("import os\nos.environ.pop('A', None)", 0),
        ("import os\nos.environ.setdefault('A', '1')", 0),
    ],
)
def test_the_environment_detector_tells_reading_from_passing_on(code: str, count: int):
    assert len(environment_reads(ast.parse(code))) == count


def settings_read() -> set[str]:
    """Names of the settings that settings.py asks for: get("NAME") and "ALTFLOW_NAME"."""
    tree = TREES[PACKAGE / "settings.py"]
    asked = {
        f"ALTFLOW_{node.args[0].value}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "get"
        and isinstance(node.args[0], ast.Constant)
    }
    spelled = {text for text in texts_of(tree) if re.fullmatch(r"ALTFLOW_[A-Z_]+[A-Z]", text)}
    return asked | spelled


def test_env_example_lists_every_setting():
    lines = (ROOT / ".env.example").read_text().splitlines()
    listed = re.findall(r"^# (ALTFLOW_\w+)=", "\n".join(lines), re.MULTILINE)
    assert len(settings_read()) >= 7
    assert sorted(listed) == sorted(settings_read())
    for name in listed:
        above = lines[next(i for i, line in enumerate(lines) if line.startswith(f"# {name}=")) - 1]
        assert re.match(r"# [A-Z]\w+.*[.:)]", above), f"{name} has no comment above it"


def test_env_example_read_as_it_is_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from orchestration import settings

    monkeypatch.delenv("ALTFLOW_DATA_DIR")
    monkeypatch.chdir(tmp_path)
    bare = settings.load()
    uncommented = re.sub(r"^# (ALTFLOW_)", r"\1", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(uncommented)
    assert settings.load() == bare


# --- imports

GUARD = """
import importlib, pkgutil, sys
broken = []
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        broken.append(f"{event} {args}")
        raise RuntimeError(f"network at import: {event} {args}")
    if event == "subprocess.Popen" and "dbt" in str(args[0]) + str(args[1]):
        broken.append(f"{event} {args}")
sys.addaudithook(watch)
import duckdb
def refuse(*args, **kwargs):
    broken.append(f"duckdb.connect {args}")
    raise RuntimeError("database at import")
duckdb.connect = refuse
import orchestration
names = ["orchestration.definitions"]
names += [found.name for found in pkgutil.walk_packages(orchestration.__path__, "orchestration.")]
for name in names:
    if name != "orchestration.__main__":
        importlib.import_module(name)
assert not broken, broken
print(len(set(names)))
"""


def test_imports_ask_no_network_and_open_no_database(tmp_path: Path):
    done = subprocess.run([sys.executable, "-c", GUARD], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 5
    assert not (tmp_path / "data").exists(), "the data folder was made at import"


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9), timeout=1)",
        "import duckdb; duckdb.connect()",
        "import subprocess; subprocess.run(['dbt', '--version'])",
    ],
)
def test_the_guard_of_imports_bites(code: str):
    guard = GUARD.replace("import orchestration\n", f"try:\n    {code}\nexcept Exception: pass\nimport orchestration\n")
    guard = re.sub(r"^names = .*?(?=^assert)", "names = []\n", guard, flags=re.MULTILINE | re.DOTALL)
    done = subprocess.run([sys.executable, "-c", guard], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "AssertionError" in done.stderr


# --- files


def test_no_file_is_called_after_nothing():
    assert not [path for path in tracked_files() if path.name in FORBIDDEN_NAMES]


def index_hosts() -> set[str]:
    """Hosts and folders of the package indexes that this machine is set up with."""
    files = [Path("/etc/pip.conf"), Path.home() / ".pip/pip.conf", Path.home() / ".config/pip/pip.conf"]
    values = [value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_"))]
    for file in filter(Path.is_file, files):
        config = configparser.RawConfigParser()
        config.read(file)
        values += [value for section in config.sections() for value in dict(config[section]).values()]
    urls = [urlsplit(word) for value in values for word in value.split() if "://" in word]
    return {url.hostname or url.path for url in urls} - {"pypi.org"}


def test_tracked_files_name_nothing_of_the_machine_they_were_written_on():
    homes = re.compile(r"(?<![\w.])/(?:work|root|Users/\w+|home/\w+)/\S*".replace("/", "[/]"))
    own = {str(ROOT), str(Path.home()) + "/", *index_hosts()}
    if len(socket.gethostname()) >= 8:
        own.add(socket.gethostname())
    found = []
    for path in tracked_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {hit}" for hit in homes.findall(text)]
        found += [f"{path.relative_to(ROOT)}: {name}" for name in own if name in text]
    assert not found, found


def test_no_data_is_tracked():
    big = [path for path in tracked_files() if path.stat().st_size > 1_000_000]
    assert not big
    assert not [path for path in tracked_files() if path.suffix in (".duckdb", ".parquet", ".wal", ".pack")]


# --- the lock


def locked() -> dict[str, str]:
    """name: version of requirements.lock."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    return {name.lower().replace("_", "-").replace(".", "-"): version for name, version in pins}


@pytest.mark.parametrize(("lock", "least"), [("requirements.lock", 100), ("requirements-fuzz.lock", 1)])
def test_the_lock_pins_everything_by_hash_and_names_no_place(lock: str, least: int):
    text = (ROOT / lock).read_text()
    assert "://" not in text and " @ " not in text and "#" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) >= least
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+==\S+( ; .+?)?( \\\n +--hash=sha256:[0-9a-f]{64})+$", entry), entry[:200]


def test_the_lock_holds_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["dev"]]
    asked += project["build-system"]["requires"]
    for requirement in map(Requirement, asked):
        version = locked()[requirement.name.lower()]
        assert requirement.specifier.contains(version), f"{requirement}, locked {version}: run make lock"


# --- the settings of Dagster and of make


def test_dagster_finds_the_code_and_writes_alone():
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"][0]["python_module"]
    dg = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    assert workspace["module_name"] == f"{dg['root_module']}.definitions"
    assert workspace["location_name"] == dg["code_location_name"]

    import dagster

    with dagster.DagsterInstance.get() as instance:
        queue = instance.get_concurrency_config().run_queue_config
        assert queue and queue.max_concurrent_runs == 1
        assert not instance.telemetry_enabled
        assert not instance.run_monitoring_enabled


def test_the_readme_names_only_targets_of_make_that_exist():
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"setup", "run", "test", "check", "ui", "bench", "lock", "clean"} <= targets
    named = {name for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")] for name in make_targets(path)}
    assert {"run", "test"} <= named <= targets


def make_targets(path: Path) -> list[str]:
    return re.findall(r"(?:^|`)make ([a-z]+)", path.read_text(), re.MULTILINE)


def test_the_documents_link_to_files_that_exist():
    for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "DECISIONS.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name} links to {link}"


def test_ci_runs_the_tests_last():
    script = (ROOT / ".ci" / "run").read_text().strip().splitlines()
    assert script[-1] == "make test"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_manifest_is_there_before_any_test():
    manifest = json.loads((ROOT / "dbt_project" / "target" / "manifest.json").read_text())
    assert manifest["metadata"]["project_name"] == "altflow"


def test_every_run_judges_the_grain_of_every_mart():
    """A run leaves out dbt's own tests of grains, two hundred queries: dq_grains is one for all marts."""
    models = ROOT / "dbt_project" / "models"
    listed = re.findall(r"    '(\w+)': \[(.*?)\]", (models / "quality" / "dq_grains.sql").read_text())
    judged = {mart: re.findall(r"'(\w+)'", columns) for mart, columns in listed}
    told = {}
    for path in (models / "marts").glob("*.yml"):
        columns = re.search(r"unique_grain: \{arguments: \{columns: \[(.*?)\]", path.read_text())
        told[path.stem] = columns[1].split(", ") if columns else judged.get(path.stem)
    assert judged == told


def test_every_incremental_model_is_waited_for_and_says_how_far_it_reaches():
    """int_days_built is written last: a model that it does not wait for would lose days of a build that failed."""
    models = ROOT / "dbt_project" / "models"
    waited_for = set(re.findall(r"'(\w+)'", (models / "intermediate" / "int_days_built.sql").read_text()))
    texts = {path.stem: path.read_text() for path in models.rglob("*") if path.suffix in (".sql", ".py")}
    incremental = {name: text for name, text in texts.items() if 'materialized="incremental"' in text}
    assert len(incremental) > 10 and incremental.keys() <= waited_for
    for name, text in incremental.items():
        reach = re.search(r'"reach_days": (\d+)', text)
        reaches = {int(days or 0) for days in re.findall(r"(?<!_)days_changed\((\d*)\)", text)}
        assert not reaches or max(reaches) == (int(reach[1]) if reach else 0), name
