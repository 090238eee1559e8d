# SPDX-License-Identifier: Apache-2.0
from setuptools import find_packages, setup

NAME = "airtwin_core"

setup(
    name=NAME,
    version="0.1.0",
    description="One vocabulary: values, frames, geodesy, statistics, mass properties from SDF.",
    license="Apache-2.0",
    maintainer="AirTwin",
    maintainer_email="maintainers@airtwin.dev",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    zip_safe=True,
)
