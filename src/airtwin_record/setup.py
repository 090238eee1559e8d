# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

NAME = "airtwin_record"

setup(
    name=NAME,
    version="0.1.0",
    description="What happened, again and again: logs, recordings, replay and its report.",
    license="Apache-2.0",
    maintainer="AirTwin",
    maintainer_email="maintainers@airtwin.dev",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed", "templates/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    zip_safe=True,
    entry_points={"console_scripts": [f"node = {NAME}.node:main"]},
)
