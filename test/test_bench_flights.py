# SPDX-License-Identifier: Apache-2.0
"""The estimator on recorded flights, by the measures of the bench. Needs ``../shared``."""

from __future__ import annotations

import pytest

from airtwin_physics.warm import warm_up
from bench import physics_flights, physics_logs, physics_outage

try:
    PATHS = physics_flights.recordings()
except physics_flights.NoData:
    PATHS = []
ULOGS = [path for path in PATHS if path.suffix == ".ulg"]
pytestmark = pytest.mark.skipif(not PATHS, reason="no recordings at ../shared")


@pytest.fixture(scope="module", autouse=True)
def _warm():
    warm_up()


@pytest.fixture(scope="module")
def flights():
    return [flight for path in ULOGS for flight in physics_flights.load(path)]


def test_position_error_is_not_larger_than_px4s_wherever_the_truth_is_known(flights):
    rows = [physics_logs.against_truth(f) for f in flights if f.truth is not None]
    rows = [row for row in rows if row is not None]
    assert len(rows) >= 4
    worse = [row["file"] for row in rows if not row["rmse_twin_m"] <= row["rmse_px4_m"]]
    assert not worse
    assert all(row["valid_share"] > 0.95 for row in rows if row["seconds"] > 10.0)


def test_claims_made_true_are_judged_on_many_flights_at_once(flights):
    flight = next(f for f in flights if f.name.startswith("px4_v1.13_sitl"))  # the shortest
    found = physics_logs.claims_made_true(flight)
    alone = physics_logs.against_truth(flight)
    assert found.count > 3.0 * alone["independent"]
    # the simulated receiver is far better than it says
    assert found.per_dof > 10.0 * alone["nees"]


def test_twin_follows_good_receivers_within_what_they_claim(flights):
    """Fixes of type 4 and better, of which the twin never saw every second one."""
    good = [f for f in flights if f.truth is None and physics_logs.has_good_fixes(f)]
    rows = [row for f in good if (row := physics_logs.against_gnss(f)) is not None]
    assert len(rows) >= 3
    assert all(row["rmse_held_out_m"] < 1.0 for row in rows)


def test_outage_in_flight_ends_where_the_filter_says_it_may(flights):
    flight = next(flight for flight in flights if flight.name.endswith("offboard_square.ulg"))
    rows = physics_outage.outages(flight)
    assert len(rows) >= 3
    assert sum(row["inside"] for row in rows) >= len(rows) / 2
