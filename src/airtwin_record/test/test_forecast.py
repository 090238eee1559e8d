# SPDX-License-Identifier: Apache-2.0
"""A mission flown ahead: what becomes of its items, the figures, the page, the command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from airtwin_bringup import cli, rollouts
from airtwin_core import aircraft
from airtwin_core.aircraft import files
from airtwin_mission import forecast as planning
from airtwin_mission import mission_file
from airtwin_mission.plan import MissionError
from airtwin_physics.control.px4_params import Px4Params
from airtwin_physics.rollout import wings
from airtwin_physics.rollout.plan import Act
from airtwin_record import forecast, forecast_report

X500 = aircraft.load("x500")
P = Px4Params()
ORIGIN = "origin: {latitude_deg: 47.0, longitude_deg: 8.0, altitude_amsl_m: 500.0}\n"
SQUARE = f"""mission: 1
name: square
{ORIGIN}speed_m_s: 6.0
steps:
  - take_off: {{height_m: 12.0}}
  - go_to: {{ned_m: [60.0, 0.0, -12.0]}}
  - hold: {{seconds: 4.0}}
  - go_to: {{ned_m: [60.0, 50.0, -15.0]}}
"""
AIR = forecast.Air(6.0, 270.0)


def _mission(rest: str = "  - land: {}\n", text: str = SQUARE):
    return mission_file.parse(text + rest, name="square.yaml")


@pytest.fixture(scope="module")
def found() -> forecast.Forecast:
    return forecast.run(_mission("  - land: {ned_m: [0.0, 50.0, 0.0]}\n"), X500, AIR, 64, 3)


def test_steps_become_waypoints() -> None:
    flight = planning.flight(_mission(), P)
    acts = [p.act for p in flight.plan.waypoints]
    assert acts == [Act.TAKE_OFF, Act.FLY, Act.FLY, Act.LAND]
    assert flight.names == ("take-off", "waypoint 1", "waypoint 2", "landing")
    points = flight.plan.waypoints
    assert points[1].hold_s == 4.0
    assert points[1].speed_m_s == 6.0
    np.testing.assert_allclose(
        points[2].position_ned_m, (60.0, 50.0, -15.0), atol=0.3
    )  # PX4's sphere
    np.testing.assert_allclose(points[3].position_ned_m[:2], points[2].position_ned_m[:2])


def test_a_return_climbs_goes_home_and_lands_as_px4_does() -> None:
    flight = planning.flight(_mission("  - return: {}\n"), P)
    away = float(np.hypot(60.0, 50.0))
    height = min(P.rtl_return_alt, away)  # a cone of 45 deg
    places = {
        name: p.position_ned_m for name, p in zip(flight.names, flight.plan.waypoints, strict=True)
    }
    assert places["return: climbed"][2] == pytest.approx(-height, abs=0.1)
    assert places["return: home"][:2] == (0.0, 0.0)
    assert places["return: descended"][2] == -P.rtl_descend_alt
    assert places["landing"] == (0.0, 0.0, 0.0)
    assert flight.plan.waypoints[-1].act is Act.LAND


def test_the_figures_are_those_of_the_flights(found: forecast.Forecast) -> None:
    figures = forecast.summary(found)
    json.dumps(figures, allow_nan=False)
    assert figures["arrived"] == figures["arrived_above_reserve"] == 1.0
    assert figures["lost"] == figures["came_to_ground"] == 0.0
    rows = figures["waypoints"]
    times = [row["time_s"]["p50"] for row in rows]
    assert np.all(np.diff(times) > 0.0)
    # spool-up, ramp, 12 m at 1.5 m/s; 60 m at 6 m/s; what a corner costs
    assert times[0] == pytest.approx(1.0 + 3.0 + 12.0 / P.mpc_tko_speed, abs=1.5)
    assert times[1] - times[0] == pytest.approx(10.0, abs=3.0)
    assert times[2] - times[1] == pytest.approx(4.0 + 50.0 / 6.0, abs=3.0)
    left = [row["battery_left"]["p50"] for row in rows]
    assert np.all(np.diff(left) < 0.0)
    pack_wh = X500.battery.capacity_ah * 3.8 * X500.battery.cells
    assert rows[-1]["energy_wh"]["p50"] == pytest.approx((1.0 - left[-1]) * pack_wh, rel=0.15)
    assert figures["half_width_m"]["p50"] < figures["half_width_m"]["p95"]


def test_an_aircraft_errs_by_where_it_believes_to_be(found: forecast.Forecast) -> None:
    """It stands on its pad; in flight it is off the plan by its own error of place."""
    places = found.fan.position_ned_m
    assert np.all(places[:, 0, :2] == 0.0)
    holding = np.searchsorted(found.fan.times_s, found.fan.reached_s[:, 1] + 3.5)
    spread = np.std(places[np.arange(64), holding, :2], axis=0)
    assert np.all((spread > 0.7) & (spread < 1.4))
    sure = forecast.run(found.mission, X500, AIR, 64, 3, place_sigma_m=0.0)
    assert np.quantile(forecast.farthest(sure), 0.95) < np.quantile(forecast.farthest(found), 0.5)


def test_envelopes_hold_their_share(found: forecast.Forecast) -> None:
    (first, second, third) = forecast.lanes(found)
    for lane, length in ((first, 60.0), (second, 50.0), (third, 60.0)):
        assert lane.at_m[-1] == pytest.approx(length, abs=0.3)
        assert np.all(np.diff(lane.across_m, axis=0) >= 0.0)
    assert second.before_m == pytest.approx(60.0, abs=0.3)
    # in the middle of the first leg, counted again
    fan, inside = found.fan, []
    for i in range(64):
        on = fan.times_s < fan.reached_s[i, 1]
        at = int(np.argmax(fan.position_ned_m[i, on, 0] > 30.0))
        inside.append(
            first.across_m[0, 30] <= fan.position_ned_m[i, at, 1] <= first.across_m[4, 30]
        )
    assert 0.88 <= np.mean(inside) <= 1.0


def test_an_empty_battery_is_told() -> None:
    found = forecast.run(_mission(), X500, AIR, 32, 3, charge=0.17, reserve=0.15)
    figures = forecast.summary(found)
    assert figures["arrived_above_reserve"] < 0.5
    left = figures["waypoints"][-1]["battery_left"]
    assert left["p50"] is None or left["p50"] < 0.15
    forecast_report.html(found, figures)  # also where nobody arrives
    heavy = forecast.run(_mission(), X500, forecast.Air(40.0, 90.0), 32, 3)
    figures = forecast.summary(heavy)
    assert figures["arrived"] < 1.0
    assert forecast_report.html(heavy, figures)


def test_the_page_holds_the_figures(found: forecast.Forecast) -> None:
    figures = forecast.summary(found)
    page = forecast_report.html(found, figures)
    assert "64 flights of x500" in page
    data = json.loads(re.search(r"const data = (\{.*?\});\n", page).group(1))
    assert len(data["lanes"]) == 3
    assert len(data["tracks"]) == 60
    assert len(data["left"]) == 64
    assert len(data["t"]) == len(data["height"][0])
    # 99.97 % is not 100 %
    assert forecast_report._percent(0.9997) == "99.9 %"
    assert forecast_report._percent(1.0) == "100 %"


def test_the_command(tmp_path) -> None:
    plan = tmp_path / "square.yaml"
    plan.write_text(SQUARE + "  - land: {}\n")
    page, figures = tmp_path / "a" / "o.html", tmp_path / "b" / "o.json"
    done = CliRunner().invoke(
        cli.app,
        ["rollout", "--plan", str(plan), "--wind", "8,270", "--n", "40", "--html", str(page),
         "--json", str(figures)],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "landing" in done.output
    told = json.loads(figures.read_text())
    assert told["wind"] == {"speed_m_s": 8.0, "from_deg": 270.0, "sigma_m_s": 1.0, "gust": 1.0}
    assert told["flights"] == 40
    assert page.stat().st_size > 1_000_000  # plotly is inside


def test_figures_alone_need_no_page(tmp_path, monkeypatch) -> None:
    """As the help of --html says; without both there are both."""
    monkeypatch.chdir(tmp_path)
    plan, figures = tmp_path / "square.yaml", tmp_path / "o.json"
    plan.write_text(SQUARE + "  - land: {}\n")
    asked = ["rollout", "--plan", str(plan), "--n", "2"]
    done = CliRunner().invoke(cli.app, [*asked, "--json", str(figures)])
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.rglob("*")} == {"square.yaml", "o.json"}
    options = typer.main.get_command(cli.app).commands["rollout"].params
    (told,) = (option.help for option in options if option.name == "html")
    assert "none with --json alone" in told
    page = tmp_path / "p.html"
    done = CliRunner().invoke(cli.app, [*asked, "--html", str(page)])
    assert done.exit_code == 0, done.output
    assert page.exists()
    assert page.with_suffix(".json").exists()


def test_the_readme_explains_every_key(found: forecast.Forecast) -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text()
    figures = forecast.summary(found)
    keys = {*figures, *figures["wind"], *figures["battery"], *figures["waypoints"][0]}
    missing = {key for key in keys if f"`{key}`" not in text}
    assert missing <= {"name", "position_ned_m"}


def test_the_rotors_say_whether_it_hovers_and_unknown_wings_are_refused(tmp_path) -> None:
    path = tmp_path / "renamed.yaml"
    text = files.path_of("standard_vtol").read_text()
    path.write_text(text.replace("name: standard_vtol", "name: renamed"))
    renamed = aircraft.load(path)
    assert renamed.name == "renamed"
    assert wings.hovers(renamed)
    assert not wings.hovers(aircraft.load("aerosonde"))
    with pytest.raises(ValueError, match="renamed: no PX4 parameters are known"):
        forecast.run(_mission(), renamed, AIR, 1, 0)


def test_wings_cruise_and_what_hovers_takes_off() -> None:
    """A quad-plane keeps its pads; a fixed wing begins and ends in the air, and it is said."""
    whole = planning.flight(_mission("  - land: {}\n"), P)
    hovers = planning.on_wings(whole, 15.0, 4.0, hovers=True)
    assert [p.act for p in hovers.plan.waypoints] == [p.act for p in whole.plan.waypoints]
    assert all(p.speed_m_s is None for p in hovers.plan.waypoints)
    assert hovers.start_ned_m == (0.0, 0.0, 0.0)
    wing = planning.on_wings(whole, 22.0, 4.0, hovers=False)
    assert wing.names == ("waypoint 1", "waypoint 2")
    assert wing.start_ned_m == pytest.approx((0.0, 0.0, -12.0))
    assert any("take-off and landing" in note for note in wing.notes)
    with pytest.raises(MissionError, match="no way"):
        planning.on_wings(whole, 15.0, 14.0, hovers=True)
    plane = aircraft.load("aerosonde")
    text = SQUARE.replace("  - hold: {seconds: 4.0}\n", "")
    text = text.replace("60.0, 50.0", "900.0, 0.0").replace("60.0", "500.0")
    found = forecast.run(_mission("  - land: {}\n", text), plane, forecast.Air(4.0, 90.0), 3, 1)
    figures = forecast.summary(found)
    assert figures["arrived"] == 1.0
    assert figures["left_out"][-1].startswith("take-off and landing")
    assert forecast_report.html(found, figures)
    # straight on; the circles after the end, of 80 m, are no deviation
    assert figures["half_width_m"]["p99"] < 20.0


def test_what_is_no_question_is_refused(tmp_path) -> None:
    for text in ("8", "8,9,10", "a,b", "-1,0", "nan,0", "3,400"):
        with pytest.raises(ValueError, match="--wind"):
            rollouts.air(text, 1.0, 1.0)
    for shares in ({"charge": 0.0}, {"charge": 1.5}, {"reserve": 1.0}):
        with pytest.raises(ValueError, match="shares"):
            forecast.run(_mission(), X500, AIR, 1, 0, **shares)
    far = SQUARE.replace("[60.0, 50.0, -15.0]", "[60.0, 50000.0, -15.0]")
    with pytest.raises(MissionError, match="an hour"):
        forecast.run(_mission(text=far), X500, AIR, 1, 0)
    absent = CliRunner().invoke(cli.app, ["rollout", "--plan", str(tmp_path / "no.plan")])
    assert absent.exit_code == 2
