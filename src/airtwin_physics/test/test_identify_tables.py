# SPDX-License-Identifier: Apache-2.0
"""The published identification tables: what the fit explains of pieces it never saw."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from airtwin_physics.identify import tables

DATA = Path(__file__).parents[4] / "shared" / "data" / "sysid"
# PX4's Gazebo iris, motor order of PX4's quad x: front right, back left, front left, back right
IRIS_PLACES = np.array([[0.13, 0.22], [-0.13, -0.2], [0.13, -0.22], [-0.13, 0.2]])
IRIS_TURNS = np.array([-1.0, -1.0, 1.0, 1.0])

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="no ../shared/data/sysid here")


def read(name):
    with (DATA / name).open() as file:
        head, *rows = csv.reader(file)
    columns = np.array([[float(x or "nan") for x in row] for row in rows]).T
    return dict(zip(head, columns, strict=True))


def test_the_iris_is_explained_on_held_out_pieces_and_its_constants_are_the_simulators():
    found = tables.quadrotor(read("quadrotor_model.csv"), IRIS_PLACES, IRIS_TURNS)
    explained = found.explained
    assert min(explained["force x"], explained["force y"]) > 0.95
    assert explained["force z"] > 0.9
    assert explained["turn z"] > 0.95
    assert min(explained["turn x"], explained["turn y"]) > 0.6
    # free of the mass: rotorDragCoefficient 1.75e-4 over motorConstant 5.84e-6 of iris.sdf
    ratio = found.coefficients["force x"][0] / found.coefficients["force z"][0]
    assert ratio == pytest.approx(1.75e-4 / 5.84e-6, rel=0.05)


def test_the_wing_is_explained_on_held_out_pieces():
    explained = tables.fixed_wing(read("fixedwing_model.csv")).explained
    assert all(share > 0.98 for share in explained.values()), explained


def test_noise_is_not_explained():
    """The same table with its accelerations out of order: nothing is left to explain."""
    table = read("quadrotor_model.csv")
    order = np.random.default_rng(1).permutation(len(table["vx"]))
    for axis in "xyz":
        table[f"acc_b_{axis}"] = table[f"acc_b_{axis}"][order]
        table[f"ang_acc_b_{axis}"] = table[f"ang_acc_b_{axis}"][order]
    found = tables.quadrotor(table, IRIS_PLACES, IRIS_TURNS)
    assert all(share < 0.1 for share in found.explained.values())
