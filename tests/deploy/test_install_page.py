"""The page that installs: what it names is there, and what it says twice it says alike."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "deploy/INSTALL.md").read_text()


def commands(section: str) -> list[str]:
    """The lines of a section that are to be typed."""
    text = PAGE.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


def test_every_file_it_names_is_there() -> None:
    typed = " ".join(line for section in ("Debian", "Updates") for line in commands(section))
    named = set(re.findall(r"deploy/[\w./*-]+", typed)) - {"deploy/opencode/node_modules/opencode-ai/bin/opencode.exe"}
    assert len(named) > 4
    assert [path for path in named if not list(ROOT.glob(path))] == []
    beside = re.findall(r"`((?:proxy|compose)[\w./-]+)`", PAGE)
    assert [path for path in beside if not (ROOT / "deploy" / path).exists()] == []


def test_an_update_does_what_an_installation_does() -> None:
    """All that puts the program and the units where they are: `install` with settings and accounts is done once."""
    once = (
        "kugetsu.env",
        "sysusers",
        "/etc/kugetsu",
        "sbin/kugetsu",
        "-m venv",
        "apt-get",
        "git clone",
        "cd ",
        "kugetsu doctor",
    )
    lasting = [line for line in commands("Debian") if not any(word in line for word in once)]
    assert [line for line in lasting if not line.startswith("systemctl enable")] == [
        line for line in commands("Updates") if not re.match("cd |systemctl (stop|start)", line)
    ]
