# SPDX-License-Identifier: Apache-2.0
"""Where ``config/``, ``launch/``, ``models/`` are: in the checkout, or in the installed share.

And whether a result can be written where it was asked for.
"""

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


class Unwritable(ValueError):
    """A result can't be written where it was asked for; the message is one line."""


def make_room(target: Path) -> None:
    """Make the folder of a file that is written at the end of long work: said before, not after.

    Raises:
        Unwritable: no file can be written there.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        there = target.exists()
        with target.open("a", encoding="utf-8"):
            pass
        if not there:
            target.unlink()
    except OSError as error:
        raise Unwritable(f"{target}: {error.strerror or error}") from None
