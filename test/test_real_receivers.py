# SPDX-License-Identifier: Apache-2.0
"""Recorded receivers, sound and broken: who is believed. Skipped where there are no recordings.

Made faults: test_gnss_faults.py of airtwin_physics.
"""

from __future__ import annotations

import pytest

from airtwin_physics.estimator import Estimator
from bench import physics_flights, physics_glitch, physics_readers


@pytest.mark.parametrize(
    "name",
    [
        "data/ulog/px4_v1.8_octo_baro_failure_in_flight.ulg",
        "data/ulog/px4_v1.8_octo_poor_gps_manual.ulg",
        "px4/recordings/px4_1.18_sih_quad_offboard_square.ulg",
    ],
)
def test_real_receivers_that_nothing_is_wrong_with_stay_believed(name: str) -> None:
    """The octocopter's barometer fails in flight; the other's fixes are poor and say so."""
    try:
        path = physics_flights.shared() / name
    except physics_flights.NoData as error:
        pytest.skip(str(error))
    for flight in physics_flights.load(path):
        states = physics_flights.states(Estimator(), flight.samples)
        assert states
        assert not any("GNSS doubted" in state.notice for state in states)
        assert not any("astray" in cause for cause in states[-1].fusions[0].rejected)
        assert not any("reset" in cause for cause in states[-1].fusions[0].rejected)


def test_the_glitch_of_a_real_receiver_is_withstood() -> None:
    """Real: GNSS runs off at 45 m/s, later 90 m below ground; only the barometer is right."""
    try:
        folder = physics_flights.shared() / "data" / "ekf" / "inertialnav"
    except physics_flights.NoData as error:
        pytest.skip(str(error))
    data = physics_readers.inertial_nav(folder / physics_glitch.FILE)
    published = physics_flights.states(Estimator(), data.samples)
    figures = physics_glitch.glitch_figures(data, published)
    assert figures["rejected"], figures
    assert figures["refused"] >= 0.9 * figures["bad_fixes"], figures
    assert figures["resets"] == 0, figures


def test_after_that_glitch_speed_place_and_height_come_back_once_the_receiver_is_well() -> None:
    """The real receiver never is: its first episode, laid over a sound stretch of the flight."""
    try:
        folder = physics_flights.shared() / "data" / "ekf" / "inertialnav"
    except physics_flights.NoData as error:
        pytest.skip(str(error))
    data = physics_readers.inertial_nav(folder / physics_glitch.FILE)
    assert physics_glitch.receiver_figures(data)["receiver_bad_until_end"]
    clean, spoilt = physics_glitch.earlier(data, None)
    assert not spoilt.any()
    without = physics_flights.states(Estimator(), clean.samples)
    figures = physics_glitch.earlier_figures(data, 65.0, without)
    assert figures["refused"] == figures["added"] > 20, figures
    assert figures["resets"] == 0, figures
    for part in ("speed_back_s", "place_back_s", "height_back_s", "recovered_s"):
        assert figures[part] is not None, figures
        assert figures[part] < 12.0, figures
    assert figures["end_place_m"] < 2.0, figures
    assert figures["end_height_m"] < 2.0, figures
