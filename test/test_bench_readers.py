# SPDX-License-Identifier: Apache-2.0
"""Readers of foreign sensor logs: on files made here, and on the real ones where they are."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from airtwin_core import frames
from airtwin_core.types import Airspeed, Barometer, GnssFix, Imu, LandDetected, Magnetometer
from bench import physics_datasets, physics_glitch, physics_readers
from bench.physics_readers import BadFile

EKF = Path(__file__).resolve().parents[2] / "shared" / "data" / "ekf"
real = pytest.mark.skipif(not EKF.is_dir(), reason="no data at ../shared/data/ekf")

SENSORS = """4000,mag,0.2,-0.08,0.42
4000,imu,-0.1,0.2,-9.9,0.01,0.02,0.03
8000,airspeed,12.5,12.0
8000,baro,487.5
8000,imu,-0.1,0.2,-9.8,0.01,0.02,0.03
8000,landed,1.0
9000,gps,488099.0,85456074.0,473977508.0,-0.02,0.5,0.1
"""
STATES = "Timestamp,state[0]\n" + ",".join(
    ["10000", "1", "0", "0", "0", "3", "4", "5", "0,0,-490"]
)


def _pair(folder, sensors=SENSORS, states=STATES):
    (folder / "replay.csv").write_text(sensors)
    (folder / "states.csv").write_text(states)
    return physics_readers.px4_replay(folder / "replay.csv", folder / "states.csv")


def test_px4_replay(tmp_path):
    data = _pair(tmp_path)
    kinds = [type(s) for s in data.samples]
    assert kinds == [Magnetometer, Imu, Airspeed, Barometer, Imu, LandDetected, GnssFix]
    imu, fix = data.samples[4], data.samples[6]
    assert imu.dt_s == pytest.approx(0.004)
    assert imu.specific_force_frd_m_s2.tolist() == [-0.1, 0.2, -9.8]
    assert imu.rate_frd_rad_s.tolist() == [0.01, 0.02, 0.03]
    assert data.samples[5].landed
    assert (fix.latitude_deg, fix.longitude_deg) == pytest.approx((47.3977508, 8.5456074))
    assert fix.altitude_amsl_m == pytest.approx(488.099)
    assert data.velocity_ned_m_s.value.tolist() == [[3.0, 4.0, 5.0]]
    assert data.velocity_ned_m_s.stamp_ns[0] - data.samples[0].stamp_ns == 6_000_000


@pytest.mark.parametrize(
    ("sensors", "message"),
    [
        ("4000,imu,1,2,3,4,5\n", "line 1: imu with 5 numbers"),
        ("4000,mag,0.2,-0.08,0.42\n4000,sonar,1\n", "line 2: KeyError"),
        ("4000,baro,x\n", "line 1"),
        ("4000,baro,nan\n", "line 1"),
        ("4000\n", "line 1: IndexError"),
    ],
)
def test_px4_replay_names_the_bad_line(tmp_path, sensors, message):
    with pytest.raises(BadFile, match=f"replay.csv, {message}"):
        _pair(tmp_path, sensors)


def _tables():
    t = np.arange(0.0, 400.0, 10.0)[:, None]
    zeros = np.zeros((len(t), 12))
    still = np.column_stack([t, t, zeros[:, :3], zeros[:, :2], np.full(len(t), -9.8)])
    gps = np.column_stack([t[::20], np.full(2, 3), t[::20], zeros[:2, :11]])
    gps[:, 6:14] = [47.0, 8.0, 500.0, 501.0, 2.0, 90.0, -0.5, 0.0]
    gps[1, 7] = 8.001
    mag = np.column_stack([t, t, np.full((len(t), 3), (200.0, 0.0, 400.0)), zeros[:, :3]])
    mag[:, 2] += np.arange(len(t)) // 2
    ntun = np.column_stack([t, t, zeros[:, :5], np.full(len(t), 15.0), 500.0 + t, zeros[:, 0]])
    att = np.column_stack([t, t, zeros[:, :5]])
    return {"IMU": still, "GPS": gps, "MAG": mag, "NTUN": ntun, "ATT": att}


def _zipped(folder, tables, cut=None):
    path = folder / "made.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, table in tables.items():
            text = "\n".join(" ".join(f"{x:.7e}" for x in row) for row in table)
            archive.writestr(f"{name}.txt", text[:cut] if name == "IMU" else text)
    return path


def test_inertial_nav(tmp_path):
    data = physics_readers.inertial_nav(_zipped(tmp_path, _tables()))
    imus = [s for s in data.samples if isinstance(s, Imu)]
    fixes = [s for s in data.samples if isinstance(s, GnssFix)]
    fields = [s for s in data.samples if isinstance(s, Magnetometer)]
    assert len(imus) == 40
    assert {round(s.dt_s, 6) for s in imus} == {0.01}
    assert fixes[1].velocity_ned_m_s == pytest.approx([0.0, 2.0, -0.5])
    assert (fixes[1].longitude_deg, fixes[1].altitude_amsl_m) == (8.001, 501.0)
    assert len(fields) == 20  # repeated values are no new samples
    assert fields[0].field_frd_gauss == pytest.approx([0.2, 0.0, 0.4])
    assert any(isinstance(s, Airspeed) and s.true_airspeed_m_s == 15.0 for s in data.samples)
    stamps = [s.stamp_ns for s in data.samples]
    assert stamps == sorted(stamps)
    assert not data.sign_unknown
    assert data.place_deg is None


def test_quaternion_in_place_of_angles_is_known_by_gravity(tmp_path):
    tables = _tables()
    q = frames.quat_from_euler(0.0, 0.0, 0.8)  # level, but its parts read as a roll of 53 deg
    tables["ATT"][:, 2:5] = np.degrees(q[:3])
    data = physics_readers.inertial_nav(_zipped(tmp_path, tables))
    assert data.sign_unknown
    assert data.q_ned_frd.value[0] == pytest.approx(q, abs=1e-6)


@pytest.mark.parametrize("cut", [2000, 1990, 5])
def test_cut_off_table_is_named(tmp_path, cut):
    with pytest.raises(BadFile, match=r"made\.zip"):
        physics_readers.inertial_nav(_zipped(tmp_path, _tables(), cut))


def test_missing_table_and_broken_archives_are_named(tmp_path):
    tables = _tables()
    del tables["MAG"]
    with pytest.raises(BadFile, match=r"made\.zip: no table MAG"):
        physics_readers.inertial_nav(_zipped(tmp_path, tables))
    for name in ("half.zip", "half.mat"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 not really")
        with pytest.raises(BadFile, match=name.replace(".", r"\.")):
            physics_readers.inertial_nav(tmp_path / name)


@real
def test_real_files_are_whole():
    sizes = {data.name: len(data.samples) for data in physics_datasets.read_all(EKF)}
    assert len(sizes) == 8
    assert all(count > 5000 for count in sizes.values())


@real
def test_glitch_is_where_barometer_and_speed_say():
    path = EKF / "inertialnav" / physics_glitch.FILE
    data = physics_readers.inertial_nav(path)
    bad = physics_glitch.bad_fixes(data)
    fixes = [s for s in data.samples if isinstance(s, GnssFix)]
    began_s = (fixes[int(np.argmax(bad))].stamp_ns - data.samples[0].stamp_ns) * 1e-9
    assert 123.0 < began_s < 125.0
    assert 0.1 < bad.mean() < 0.4
