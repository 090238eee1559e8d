# SPDX-License-Identifier: Apache-2.0
"""A mission file becomes a ``plan.Mission``: QGroundControl's .plan, or YAML."""

from __future__ import annotations

from pathlib import Path

from airtwin_mission import qgc, yaml_mission
from airtwin_mission.plan import Mission, MissionError

MAX_BYTES = 10_000_000
"""A longer file is refused unread; QGroundControl's largest surveys stay below 2 MB."""


def parse(text: str, *, name: str) -> Mission:
    """Return the mission in ``text``; ``name`` is the file's name and decides the format.

    Raises:
        MissionError: not a mission that AirTwin understands whole; one sentence says why.
    """
    readers = {".plan": qgc.parse, ".yaml": yaml_mission.parse, ".yml": yaml_mission.parse}
    suffix = Path(name).suffix.lower()
    if suffix == ".mission":
        raise MissionError(
            f"{name}: the .mission format ended in 2017; "
            "open it in QGroundControl and save it as .plan"
        )
    if suffix not in readers:
        raise MissionError(f"{name}: a mission file ends in .plan, .yaml or .yml")
    if len(text) > MAX_BYTES:
        raise MissionError(f"{name}: larger than {MAX_BYTES // 1_000_000} MB, no mission is")
    try:
        return readers[suffix](text, Path(name).stem)
    except RecursionError:
        raise MissionError(f"{name}: nested too deeply to be a mission") from None
    except MissionError as error:
        raise MissionError(f"{name}: {error}") from None


def load(path: str | Path) -> Mission:
    """Read a mission file.

    Raises:
        MissionError: the file cannot be read or is refused.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise MissionError(f"{path.name}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise MissionError(f"{path.name}: not a text file in UTF-8") from None
    return parse(text, name=path.name)
