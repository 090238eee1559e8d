# SPDX-License-Identifier: Apache-2.0
"""./airtwin itself: what it locks, what it says on a machine that lacks something, how fast."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "airtwin"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def _locked():
    """Return (name, version, oldest and newest Python) of each line of the lock file."""
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line.startswith("#"):
            continue
        requirement, _, marker = (part.strip() for part in line.partition(";"))
        name, version = requirement.split("==")
        yield name, version, _pythons(marker)


def _pythons(marker):
    if not marker:
        return PYTHONS
    match = re.fullmatch(r"python_full_version (<|>=|==) '(3\.\d+)(?:\.\*)?'", marker)
    if match is None:
        low, high = re.findall(r"'(3\.\d+)'", marker)
        return tuple(p for p in PYTHONS if _minor(low) <= _minor(p) < _minor(high))
    compare = {"<": int.__lt__, ">=": int.__ge__, "==": int.__eq__}[match[1]]
    return tuple(p for p in PYTHONS if compare(_minor(p), _minor(match[2])))


def _minor(version):
    return int(version.split(".")[1])


@pytest.mark.parametrize("python", PYTHONS)
def test_each_requirement_is_locked_once_for_each_python(python):
    wanted = [
        re.split(r"[<>=# ]", line, maxsplit=1)[0].lower()
        for line in (ROOT / "requirements.in").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    locked = [name for name, _, pythons in _locked() if python in pythons]
    assert len(locked) == len(set(locked)), "two versions of one package"
    assert not set(wanted) - set(locked)


def test_nothing_names_a_package_index():
    for name in ("airtwin", "requirements.in", "requirements.lock"):
        assert "://" not in (ROOT / name).read_text()


def _bare_machine(folder, *, programs):
    """Return a copy of the checkout's set-up files and an environment with these programs only."""
    checkout = folder / "checkout"
    checkout.mkdir()
    for name in ("airtwin", "requirements.lock", "colcon.meta"):
        shutil.copy(ROOT / name, checkout)
    shutil.copytree(ROOT / "src" / "interfaces", checkout / "src" / "interfaces")
    shutil.copytree(ROOT / "src" / "airtwin_msgs", checkout / "src" / "airtwin_msgs")
    tools = folder / "bin"
    tools.mkdir()
    for name in programs:
        place = shutil.which(name)
        assert place, name
        (tools / name).symlink_to(place)
    return checkout, {"PATH": str(tools), "HOME": str(folder)}


UNIX = (
    *("bash", "cat", "cut", "date", "dirname", "env", "find", "flock", "grep", "mkdir"),
    *("readlink", "rm", "sed", "sha256sum", "sort", "tail", "uname", "xargs"),
)


def _start(checkout, environment):
    return subprocess.run(
        ["bash", str(checkout / "airtwin"), "setup"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _fake_python(folder, body):
    python = folder / "bin" / "python3"
    python.write_text(f"#!/bin/sh\n{body}\n")
    python.chmod(0o755)


def test_a_bare_machine_gets_the_line_that_helps(tmp_path):
    checkout, environment = _bare_machine(tmp_path, programs=UNIX)
    result = _start(checkout, environment)
    assert result.returncode == 1
    assert "sudo apt-get install --yes python3-venv python3-dev g++ cmake" in result.stderr
    assert not (checkout / ".venv").exists()


def test_only_what_is_missing_is_named(tmp_path):
    checkout, environment = _bare_machine(tmp_path, programs=UNIX)
    _fake_python(tmp_path, "echo venv")
    for name in ("cc", "c++", "cmake"):
        (tmp_path / "bin" / name).symlink_to("/bin/true")
    result = _start(checkout, environment)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].split("--yes ")[1] == "python3-venv"


def test_a_python_too_old_or_too_new_is_passed_over(tmp_path):
    checkout, environment = _bare_machine(tmp_path, programs=UNIX)
    _fake_python(tmp_path, "exit 1")
    (tmp_path / "bin" / "python3.11").write_text("#!/bin/sh\necho dev\n")
    (tmp_path / "bin" / "python3.11").chmod(0o755)
    result = _start(checkout, environment)
    assert "python3.11-dev" in result.stderr


def test_a_step_that_fails_shows_the_end_of_the_log_and_leaves_no_stamp(tmp_path):
    checkout, environment = _bare_machine(tmp_path, programs=UNIX)
    _fake_python(
        tmp_path,
        'if [ "$2" = venv ]; then echo "no space left"; exit 1; fi; [ "$1" != -V ] || true',
    )
    for name in ("cc", "c++", "cmake"):
        (tmp_path / "bin" / name).symlink_to("/bin/true")
    result = _start(checkout, environment)
    assert result.returncode == 1
    assert "no space left" in result.stderr
    assert not (checkout / ".venv" / "stamp").exists()


@pytest.mark.skipif("AIRTWIN_ROOT" not in os.environ, reason="not started through ./airtwin")
def test_a_later_start_is_quick_also_from_within_itself():
    begin = os.times()
    result = subprocess.run([str(SCRIPT), "setup"], capture_output=True, text=True, check=False)
    end = os.times()
    assert result.returncode == 0, result.stderr
    assert "building" not in result.stderr
    processor_s = end.children_user - begin.children_user
    processor_s += end.children_system - begin.children_system
    assert processor_s < 0.5


@pytest.mark.skipif("AIRTWIN_ROOT" not in os.environ, reason="not started through ./airtwin")
def test_byte_code_is_kept_also_where_none_is_wanted_beside_the_sources():
    """Else each start compiles numpy and numba, while an aircraft may be in the air."""
    result = subprocess.run(
        [str(SCRIPT), "python", "-c", "import sys; print(sys.flags, sys.pycache_prefix)"],
        env={k: v for k, v in os.environ.items() if k != "PYTHONPYCACHEPREFIX"}
        | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "dont_write_bytecode=0" in result.stdout
    assert str(ROOT / ".cache/bytecode") in result.stdout


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck")
@pytest.mark.parametrize("name", ["airtwin", ".ci/run"])
def test_shellcheck_is_content(name):
    result = subprocess.run(
        ["shellcheck", name], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout
