"""`make` takes the first suitable Python, says which, and says what it saw when there is none."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
# Answers what create_venv.sh asks of a Python, in a shell.
FAKE = """#!/bin/sh
case "$*" in
*python_implementation*) echo "{version}" ;;
*ensurepip*) exit {venv} ;;
"-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
"-m pip install"*) echo "$*" >> installed ;;
esac
"""
SHIM = "#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2\nexit 127\n"


@pytest.fixture
def machine(tmp_path):
    """A checkout, and a PATH with nothing but what make's recipes use."""
    (tmp_path / "bin").mkdir()
    for name in ("sh", "mkdir", "cp", "rm", "touch", "cat"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    for name in ("Makefile", "devstack/create_venv.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("requirements.txt", "requirements-local.txt"):
        (tmp_path / name).touch()
    return tmp_path


def add(machine, name, version="", *, venv=0, text=None):
    program = machine / "bin" / name
    program.write_text(text or FAKE.format(version=version, venv=venv))
    program.chmod(0o755)


def make(machine, *arguments):
    return subprocess.run(
        [shutil.which("make"), *arguments],
        cwd=machine,
        env={"PATH": str(machine / "bin")},
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.parametrize("minor", [11, 12, 13, 14])
@pytest.mark.parametrize("name", ["python3.{}", "python3", "python"])
def test_each_supported_version_is_taken_under_any_name(machine, minor, name):
    add(machine, name.format(minor), f"CPython 3.{minor}.2")
    done = make(machine, ".venv/bin/python")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (f"Creating .venv with {name.format(minor)} (CPython 3.{minor}.2)\n")


def test_the_version_of_the_image_comes_first(machine):
    for minor in (11, 12, 13, 14):
        add(machine, f"python3.{minor}", f"CPython 3.{minor}.0")
    add(machine, "python3", "CPython 3.13.1")
    assert "with python3.11 (" in make(machine, ".venv/bin/python").stdout


def test_another_one_can_be_asked_for(machine):
    add(machine, "python3.11", "CPython 3.11.9")
    add(machine, "python3.13", "CPython 3.13.1")
    assert "with python3.13 (" in make(machine, ".venv/bin/python", "PYTHON3=python3.13").stdout


def test_shims_and_broken_pythons_are_passed_over(machine):
    add(machine, "python3.11", text=SHIM)
    add(machine, "python3.12", "CPython 3.12.3", venv=1)
    add(machine, "python3.13", "PyPy 3.13.1")
    add(machine, "python3.14", "CPython 3.14.0")
    assert "with python3.14 (" in make(machine, ".venv/bin/python").stdout


@pytest.mark.parametrize(
    ("name", "version", "venv", "seen"),
    [
        (None, "", 0, "on the PATH\n"),
        ("python3", "CPython 3.10.12", 0, "; python3 is CPython 3.10.12\n"),
        ("python3", "CPython 3.15.0", 0, "; python3 is CPython 3.15.0\n"),
        ("python3", "CPython 3.1.4", 0, "; python3 is CPython 3.1.4\n"),
        ("python", "CPython 2.7.18", 0, "; python is CPython 2.7.18\n"),
        ("python3", "PyPy 3.11.13", 0, "; python3 is PyPy 3.11.13\n"),
        ("python3.12", "CPython 3.12.3", 1, "; python3.12 lacks venv, which is the package "
         "python3.12-venv on Debian and Ubuntu\n"),
    ],
)  # fmt: skip
def test_an_unsuitable_one_is_refused_with_what_was_seen(machine, name, version, venv, seen):
    if name:
        add(machine, name, version, venv=venv)
    done = make(machine, ".venv/bin/python")
    assert done.returncode == 2
    line = done.stderr.splitlines(keepends=True)[0]
    assert line.startswith("OpenSend needs Python 3.11, 3.12, 3.13 or 3.14 on the PATH")
    assert line.endswith(seen)
    assert not (machine / ".venv").exists()


def test_a_venv_whose_python_was_uninstalled_is_made_anew_with_its_packages(machine):
    add(machine, "python3.11", "CPython 3.11.9")
    assert make(machine, ".venv/.stamp").returncode == 0
    assert make(machine, ".venv/.stamp").stdout == "make: '.venv/.stamp' is up to date.\n"
    assert (machine / "installed").read_text().count("-r requirements.txt") == 1
    (machine / ".venv" / "bin" / "python").unlink()
    (machine / ".venv" / "bin" / "python").symlink_to(machine / "gone")
    os.remove(machine / "bin" / "python3.11")
    add(machine, "python3.12", "CPython 3.12.3")
    done = make(machine, ".venv/.stamp")
    assert "with python3.12 (" in done.stdout
    assert (machine / "installed").read_text().count("-r requirements.txt") == 2
