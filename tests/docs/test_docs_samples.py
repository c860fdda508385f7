"""The samples that send mail run as printed, in a folder of their own; none takes our port."""

import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.clients import wait_until
from tests.docs.documented_commands import ROOT, commands
from tests.node_scripts import FOLDER, NODE

README = (ROOT / "README.md").read_text()
SENDING = (ROOT / "docs" / "sending.md").read_text()
DEFAULT_PORTS = {"uvicorn": 8000, "flask": 5000, "runserver": 8000, "node server.mjs": 3000}


def first_block(text, language):
    return re.search(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]


def named_block(name):
    return re.search(rf"^```\w+\n((?:#|//) {name}.*?)^```$", SENDING, re.MULTILINE | re.DOTALL)[1]


PYTHON_SAMPLES = {
    "README": first_block(README, "python"),
    "with_resend.py": named_block("with_resend.py"),
    "with_opensend.py": named_block("with_opensend.py"),
}


@pytest.fixture
def run_sample(product, tmp_path):
    """`run(code, *command)` runs a sample to a new address, and waits until its mail arrived."""

    def run(code, command, name, **variables):
        to, facts = f"{uuid.uuid4().hex}@example.com", product.facts
        for shown, real in {
            "os_...": facts["api_key"],
            "http://127.0.0.1:8000": facts["base_url"],
            "anyone@example.com": to,
        }.items():
            assert shown in code or variables
            code = code.replace(shown, real)
        (tmp_path / name).write_text(code)
        env = {"PATH": os.environ["PATH"], **variables}
        done = subprocess.run(
            [command, name], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        (message,) = wait_until(lambda: product.twin("mail", recipient=to), what="the mail")
        assert message["tags"]["opensend_email_id"] == done.stdout.strip()

    return run


@pytest.mark.parametrize("name", PYTHON_SAMPLES)
def test_a_python_sample_sends(run_sample, name):
    run_sample(PYTHON_SAMPLES[name], sys.executable, "sample.py")


@pytest.fixture
def node_modules(tmp_path):
    (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")


@pytest.mark.usefixtures("node_modules")
def test_the_node_sample_sends(run_sample):
    run_sample(named_block("send.mjs"), NODE, "send.mjs")


@pytest.mark.usefixtures("node_modules")
@pytest.mark.parametrize("library", ["resend", "resend-old"])
def test_the_node_sample_sends_with_the_url_in_the_environment(run_sample, product, library):
    code = named_block("send.mjs").replace(', { baseUrl: "http://127.0.0.1:8000" }', "")
    code = code.replace('from "resend"', f'from "{library}"')
    assert "baseUrl" not in code
    assert library in code
    run_sample(code, NODE, "send.mjs", RESEND_BASE_URL=product.facts["base_url"])


def test_no_documented_server_takes_the_port_of_make_run():
    servers = [
        (text, default)
        for text in {each.text for each in commands()}
        for program, default in DEFAULT_PORTS.items()
        if re.search(rf"(^|python manage.py ){program}\b", text)
    ]
    assert {default for _, default in servers} == set(DEFAULT_PORTS.values())
    for text, default in servers:
        given = re.search(r"(?:--port|runserver) (\d+)", text)
        assert int(given[1] if given else default) != 8000, text


@pytest.mark.parametrize("use", ["opensend.Emails", "opensend.OpenSend('os_x')", "opensend.nope"])
def test_the_server_s_package_says_that_it_is_not_the_client(use):
    code = f"import opensend; opensend.api_key = 'os_x'; {use}"
    env = {"PATH": os.environ["PATH"], "LOCAL_MODE": "true"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "AttributeError: module 'opensend' has no attribute" in done.stderr
    assert "outside the server's checkout" in done.stderr


def test_outside_the_checkout_the_client_is_found(tmp_path):
    code = "import opensend; print(opensend.__file__, opensend.OpenSend.__name__)"
    env = {"PATH": os.environ["PATH"]}
    found = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=env, text=True)
    path, name = found.split()
    assert name == "OpenSend"
    assert Path(path).parts[-3] == "site-packages"
