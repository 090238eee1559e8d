# SPDX-License-Identifier: Apache-2.0
"""What the pages say a number is, it is in the code; and where they point to, something is."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from airtwin_physics.config import EstimatorConfig

ROOT = Path(__file__).resolve().parents[1]
PHYSICS = ROOT / "src" / "airtwin_physics"
PAGES = (PHYSICS / "README.md", PHYSICS / "airtwin_physics" / "ekf" / "README.md")
FOLDERS = [ROOT / name for name in ("bench", "docs", "src")]
LINKED = sorted([*ROOT.glob("*.md"), *(p for folder in FOLDERS for p in folder.rglob("*.md"))])
_NUMBER = r"(-?\d+(?:\.\d+)?)(?![\w.]*\d)"
_SETTING = re.compile(rf"`([a-z]+(?:_[a-z0-9]+)+)`\s+{_NUMBER}")
_CONSTANT = re.compile(rf"`((?:sensors\.)?[a-z_]+)\.(_?[A-Z][A-Z0-9_]+)`\s+{_NUMBER}")


def _settings(text: str) -> list[tuple[str, float]]:
    return [(name, float(number)) for name, number in _SETTING.findall(text)]


def _constants(text: str) -> list[tuple[str, str, float]]:
    return [(module, name, float(number)) for module, name, number in _CONSTANT.findall(text)]


def _prose(path: Path) -> str:
    return re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)


def _anchors(path: Path) -> set[str]:
    """Return what GitHub makes of the headings: lower case, no punctuation, hyphens."""
    headings = re.findall(r"^#+ +(.*)$", _prose(path), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_settings_on_the_pages_are_the_defaults() -> None:
    said = [pair for page in PAGES for pair in _settings(page.read_text())]
    assert len(said) >= 30  # else the pattern reads nothing
    wrong = {n: v for n, v in said if getattr(EstimatorConfig(), n, None) != pytest.approx(v)}
    assert not wrong


def test_constants_on_the_pages_are_those_of_the_filter() -> None:
    said = [entry for page in PAGES for entry in _constants(page.read_text())]
    assert len(said) >= 40
    wrong = {}
    for module, name, value in said:
        code = importlib.import_module(f"airtwin_physics.ekf.{module}")
        if getattr(code, name, None) != pytest.approx(value):
            wrong[f"{module}.{name}"] = value
    assert not wrong


def test_a_wrong_number_would_be_read() -> None:
    assert _settings("walks by `wind_walk` 0.05, or\n`gnss_wander_s`\n120 s.") == [
        ("wind_walk", 0.05),
        ("gnss_wander_s", 120.0),
    ]
    assert _constants("`sensors.gnss._CLAIM_S` 40, `wash._LEAST_M` 0.03.") == [
        ("sensors.gnss", "_CLAIM_S", 40.0),
        ("wash", "_LEAST_M", 0.03),
    ]


@pytest.mark.parametrize("path", LINKED, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = path if not file else (path.parent / file).resolve()
        assert there.exists(), f"{path.name} points to {target}"
        if anchor:
            assert anchor in _anchors(there), f"{path.name} points to {target}"
