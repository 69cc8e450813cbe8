"""The image: what its Dockerfile takes is there, and what it runs inside does what it should, as far as no Docker is
needed for that.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.website import address, running, settings_for

ROOT = Path(__file__).parents[2]
TEXT = re.sub(r"\\\n", " ", (ROOT / "deploy/Dockerfile").read_text())
STEPS = [line.split(maxsplit=1) for line in TEXT.splitlines() if re.match(r"[A-Z]+ ", line)]
COPIED_TO = dict(pair.split("=", 1) for step, rest in STEPS if step == "ENV" for pair in rest.split())
"""The image's environment."""


def told(step: str) -> list[str]:
    return [rest for name, rest in STEPS if name == step]


def copied() -> Iterator[str]:
    """What is taken from the top folder."""
    for rest in told("COPY"):
        if not rest.startswith("--from="):
            yield from rest.split()[:-1]


def test_what_is_copied_is_there_and_let_in() -> None:
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(copied()) == sorted(let_in)
    assert [path for path in copied() if not (ROOT / path).exists()] == []


def test_nothing_is_let_in_that_nobody_asked_for() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert rules[1] == "*"
    assert "**/__pycache__" in rules


def test_debian_has_what_is_installed() -> None:
    packages = {
        word
        for rest in told("RUN")
        for part in re.findall(r"apt-get install ([^&]*)", rest)
        for word in part.split()
        if not word.startswith("-")
    }
    assert {"bubblewrap", "git", "tini"} <= packages
    known = subprocess.run(["apt-cache", "pkgnames"], capture_output=True, text=True, check=True).stdout.split()
    assert packages - set(known) == set()


def test_it_runs_as_nobody_in_particular() -> None:
    assert told("USER") == ["kugetsu"]
    assert STEPS.index(["USER", "kugetsu"]) < STEPS.index(["CMD", '["serve"]'])


def test_everything_that_is_fetched_is_locked() -> None:
    for command in (part.strip() for rest in told("RUN") for part in rest.split("&&")):
        words = shlex.split(command)
        if "install" in words and words[0].endswith("pip"):
            assert {"--require-hashes", "--no-deps"} & set(words), command
        assert words[:2] != ["npm", "install"]
    assert not [line for line in told("RUN") if "curl" in line or "wget" in line]


def test_the_package_holds_all_that_the_service_needs(tmp_path: Path) -> None:
    """The step that makes it, in a clean folder: pages have templates, styles and scripts beside the code."""
    source, wheels = tmp_path / "src", tmp_path / "wheels"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "models", "jobs", "webhook"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    (step,) = [part for rest in told("RUN") for part in rest.split("&&") if "pip wheel" in part]
    words = shlex.split(step.replace("/opt/build/bin/pip", f"{sys.executable} -m pip").replace("/wheels", str(wheels)))
    subprocess.run(words, cwd=source, check=True, capture_output=True, timeout=120)
    (wheel,) = wheels.iterdir()
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {
        str(path.relative_to(source)) for folder in ("models", "jobs", "webhook") for path in files(source / folder)
    }
    assert ours - names == set()


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def health() -> list[str]:
    words: list[str] = json.loads(told("HEALTHCHECK")[0].split("CMD", 1)[1])
    return [sys.executable if word == "python3" else word for word in words]


def test_the_health_check_says_whether_the_http_side_answers(health: list[str], tmp_path: Path) -> None:
    def says(port: int) -> int:
        environ = {**os.environ, "KUGETSU_PORT": str(port)}
        return subprocess.run(health, env=environ, capture_output=True, timeout=60, check=False).returncode

    with running(settings_for(tmp_path)) as site:
        _, port = address(site.url)
        assert says(port) == 0
    assert says(port) == 1
