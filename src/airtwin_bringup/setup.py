# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

from setuptools import find_packages, setup

NAME = "airtwin_bringup"
ROOT = Path(__file__).resolve().parents[2]
SHARED_FOLDERS = ("config", "launch", "models", "worlds")


def shared_files():
    """Install the top-level folders: `ros2 launch airtwin_bringup sim.launch.py` needs them.

    setuptools takes paths relative to the folder it runs in only, which is the package or, with
    `colcon build --symlink-install`, its build folder.
    """
    files = []
    for path in sorted(p for name in SHARED_FOLDERS for p in (ROOT / name).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            target = Path("share", NAME, path.relative_to(ROOT).parent)
            files.append((str(target), [os.path.relpath(path)]))
    return files


setup(
    name=NAME,
    version="0.1.0",
    description="Which nodes run: the graph as data, its runners, the command line.",
    license="Apache-2.0",
    maintainer="AirTwin",
    maintainer_email="maintainers@airtwin.dev",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        *shared_files(),
    ],
    zip_safe=True,
    entry_points={"console_scripts": [f"airtwin = {NAME}.cli:app"]},
)
