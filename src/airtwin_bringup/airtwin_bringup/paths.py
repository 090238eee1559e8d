# SPDX-License-Identifier: Apache-2.0
"""Where ``config/``, ``launch/``, ``models/`` are: in the checkout, or in the installed share."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def root() -> Path:
    """Return the folder that holds ``config/``.

    Raises:
        FileNotFoundError: neither a checkout nor an installed package.
    """
    for folder in Path(__file__).resolve().parents:
        if (folder / "config").is_dir() and (folder / "models").is_dir():
            return folder
    try:
        from ament_index_python.packages import get_package_share_directory

        return Path(get_package_share_directory("airtwin_bringup"))
    except LookupError as error:
        raise FileNotFoundError(
            "config/ not found: run from the checkout or source install/setup.bash"
        ) from error


def config(name: str) -> Path:
    """Return the path of ``config/<name>``."""
    return root() / "config" / name
