"""Every command in README.md and docs/ runs as it is printed, or is listed here with the reason."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from importlib.metadata import distribution
from pathlib import Path

import psutil
import pytest
import requests

from devstack.embedded import free_port
from devstack.files import read_env
from tests.clients import wait_until
from tests.docs.documented_commands import PAGES, ROOT, commands, commands_of, unlabelled
from tests.journey.product import Endpoint

# A first match decides. Listed here, with why it does not run in this test:
NOT_RUN = {
    r"(\w+=\S+ )?make (test|check|bench|test-chaos)( \w+=\S+)*": "takes minutes; CI runs it",
    r"make requirements": "needs a package index",
    r"make (docs|openapi|compatibility)": "rewrites docs/, which `make check` compares",
    r"make setup PYTHON3=\S+": "makes .venv again; tests/devstack test it",
    r"\.venv/bin/python -m (bench|pytest) [a-z/ ]+": "takes minutes",
    r"(\w+=\S+ )*make run": "what the other commands run beside",
    r"(mkdir .* && )?(\S+/)?pip install .+": "needs a package index",
    r"npm install .+": "needs a package index",
    r"docker compose .+": "needs Docker",
    r"python manage.py createsuperuser": "asks questions",
    r"python manage.py collectstatic --no-input": "writes what LOCAL_MODE does without",
    r"python manage.py (makemigrations hooks|runserver 5000)": "in the reader's own project",
    r"(flask|uvicorn|node) .+": "a sample, which the tests of the samples start",
}
STARTS = r"(granian|celery|python -m opensend\.\w+) .*|python -m opensend\.\w+|make watch"
RUNS = r"make( demo| manage .+)?|python (manage\.py|-c) .+|(os|os\(\)|curl|export) .+|BASE=.+"


def kind(text):
    patterns = (*NOT_RUN, STARTS, RUNS)
    return next((each for each in patterns if re.fullmatch(each, text, re.DOTALL)), None)


ALL = commands()


def chosen(*kinds):
    return [each for each in ALL if kind(each.text) in kinds]


def test_every_command_is_known_and_nothing_else_is_listed():
    """A new command that fails here is to be run, or listed with the reason why it can't."""
    assert not [str(each) for each in ALL if kind(each.text) is None]
    assert {kind(each.text) for each in ALL} == {*NOT_RUN, STARTS, RUNS}


def test_blocks_of_commands_say_that_they_are_for_a_shell():
    assert not unlabelled()


# --- As printed, in bash ------------------------------------------------------------------


class Shell:
    """bash in the checkout, with what a reader has after `make run` and the placeholders filled."""

    def __init__(self, product, folder, **variables):
        self.product = product
        self._folder = folder
        home = {"HOME": os.environ["HOME"], "PATH": f"{Path(sys.executable).parent}:"}
        self.env = {**home, "VAR_DIR": str(product.var_dir), **variables}
        self.env["PATH"] += os.environ["PATH"]
        # `make` would compare what is installed with the requirements; it has run `make test`.
        self._prelude = 'make() { command make -o .venv/.stamp -o .venv/.dev-stamp "$@"; }\n'

    def command(self, text, *, settings=False):
        """(argv, options) for subprocess, with the product's settings if the reader has them."""
        given = read_env(self.product.var_dir / "env") if settings else {}
        port, schedule = str(free_port()), str(self._folder / "schedule")
        text = re.sub(r"^python -m opensend\.web$", "\\g<0> --port 8000", text)
        text = text.replace("--port 8000", f"--port {port}").replace("/tmp/celerybeat", schedule)
        facts = self.product.facts
        for shown, real in {
            "http://127.0.0.1:8000": facts["base_url"],
            "os_...": facts["api_key"],
            "https://you.example.com/hooks": self.env.get("ENDPOINT", ""),
            '"type": "..."': '"type": "email.bounced"',
            "suppressions.csv": str(self._folder / "suppressions.csv"),
        }.items():
            text = text.replace(shown, real)
        env = {**self.env, **given, "GRANIAN_PORT": port}
        return ["bash", "-c", self._prelude + text], {"cwd": ROOT, "env": env}

    def run(self, text, **how):
        argv, options = self.command(text, **how)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, **options)
        assert done.returncode == 0, (text, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout


@pytest.fixture
def shell(product, tmp_path):
    return Shell(product, tmp_path)


def test_commands_of_make_exist(shell):
    for each in chosen(*NOT_RUN):
        if " make " in f" {each.text}":
            shell.run(re.sub(r"\bmake\b", "make --dry-run", each.text))


def test_make_run_is_what_these_tests_started(shell):
    assert shell.run("make --dry-run run") == "exec .venv/bin/python -m devstack\n"


def test_packages_of_the_documented_installations_are_those_that_are_tested():
    lists = [each.text.partition(" install ")[2].split() for each in chosen(*NOT_RUN)
             if "pip install" in each.text]  # fmt: skip
    names = {name.strip('"') for words in lists for name in words if not name.endswith(".txt")}
    for name in names - {"--require-hashes", "-r"}:
        assert distribution(name.partition("[")[0])


@pytest.mark.parametrize(
    "text",
    dict.fromkeys(e.text for e in chosen(RUNS) if re.match("(make|python)", e.text)),
)
def test_a_command_runs_as_printed(shell, text):
    """`python manage.py` has the settings of the processes; `make` finds them."""
    if "$WEBHOOK" in text:
        pytest.skip("with the commands of its page")
    assert shell.run(text, settings=text.startswith("python")) or "migrate" not in text


@pytest.mark.parametrize("page", [page for page in PAGES if "os() {" in page.read_text()])
def test_the_commands_of_a_page_succeed_in_its_order(product, tmp_path, page):
    """Of the pages that call the API with curl; no response is an error."""
    with Endpoint() as endpoint, example_objects(product, endpoint) as known:
        endpoint.expect(known.pop("secret"))
        shell = Shell(product, tmp_path, ENDPOINT=endpoint.url, **known)
        shown = [each.text for each in commands_of(page) if kind(each.text) == RUNS]
        prelude = "\n".join(text for text in shown if text.startswith(("os()", "BASE=")))
        for text in shown:
            if text.startswith(("os ", "curl ", "export ")) or "$WEBHOOK" in text:
                answer = shell.run(f"{prelude}\n{text}")
                assert '"statusCode"' not in answer, (text, answer)
                if text.startswith("os "):
                    json.loads(answer)


@contextmanager
def example_objects(product, endpoint):
    """The ids that the pages' commands need; the endpoints are deleted afterwards."""

    def post(path, **fields):
        answer = product.api("POST", path, fields)
        answer.raise_for_status()
        return answer.json()

    def event():
        listed = product.get(f"/webhooks/{known['WEBHOOK']}/events")["data"]
        return next((each["id"] for each in listed if each["status"] == "success"), None)

    kept = {each["id"] for each in product.get("/webhooks")["data"]}
    webhook = post("/webhooks", endpoint=endpoint.url, events=["*"])
    known = {
        "secret": webhook["signing_secret"],
        "WEBHOOK": webhook["id"],
        "UNWANTED": post("/webhooks", endpoint=endpoint.url, events=["domain.*"])["id"],
        "DOMAIN": product.get("/domains")["data"][0]["id"],
        "SINCE": webhook["created_at"],
    }
    try:
        endpoint.expect(known["secret"])
        post("/suppressions", email=f"{webhook['id']}@example.net")
        known["EVENT"] = wait_until(event, what="an event")
        path = f"/webhooks/{known['WEBHOOK']}/recover"
        known["RECOVERY"] = post(path, since=known["SINCE"], only="all")["id"]
        yield known
    finally:
        for each in product.get("/webhooks")["data"]:
            if each["id"] not in kept:
                product.api("DELETE", f"/webhooks/{each['id']}").raise_for_status()


# --- Processes ----------------------------------------------------------------------------


@pytest.mark.parametrize("text", dict.fromkeys(each.text for each in chosen(STARTS)))
def test_a_documented_process_starts(shell, tmp_path, text):
    """The web server answers; the others have connected to Redis; `make watch` says so."""
    argv, options = shell.command(text, settings=not text.startswith("make"))
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, stdout=output, stderr=output, start_new_session=True, **options
        )
    try:
        wait_until(
            lambda: process.poll() is not None or has_started(text, process, log, options["env"]),
            seconds=90,
            what=text,
        )
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert "Traceback" not in log.read_text()


def has_started(text, process, log, env):
    if text == "make watch":
        return "Ctrl-C deletes it" in log.read_text()
    if "interface" in text or ".web" in text:
        return answers(f"http://127.0.0.1:{env['GRANIAN_PORT']}/healthz")
    port = int(env["REDIS_URL"].rpartition(":")[2].partition("/")[0])
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    return any(
        link.raddr and link.raddr.port == port
        for each in family
        if each.is_running()
        for link in each.net_connections("tcp")
    )


def answers(url):
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


# --- What `make run` prints ----------------------------------------------------------------


def test_the_commands_that_make_run_prints_work(shell, product):
    lines = [line.strip() for line in product.log.read_text().splitlines()]
    printed = [line for line in lines if re.match(r"(curl|make) ", line)]
    assert len(printed) == 4
    send, events, watch, manage = printed
    email_id = json.loads(shell.run(send))["id"]
    assert json.loads(shell.run(events.replace("EMAIL_ID", email_id)))["object"] == "list"
    assert re.fullmatch(r"os_\S+\n", shell.run(manage))
    assert watch == f"make -sC {ROOT} VAR_DIR={product.var_dir} watch"
