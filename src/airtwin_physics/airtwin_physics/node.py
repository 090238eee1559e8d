# SPDX-License-Identifier: Apache-2.0
"""The physics node: PX4's sensor topics in, the twin's state and what it found out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airtwin_msgs.msg import ConsistencyReport, ParameterEstimates, TwinState
from rclpy.node import Node

from airtwin_core import aircraft
from airtwin_core.intake import Intake
from airtwin_core.types import Health, Imu, Sample
from airtwin_core.types import TwinState as State
from airtwin_physics import external_odometry
from airtwin_physics.config import EstimatorConfig
from airtwin_physics.estimator import Estimator
from airtwin_physics.external_odometry import ExternalOdometry, OdometryLimits
from airtwin_physics.frame_memory import FrameMemory, file_of
from airtwin_physics.pace import Pace
from airtwin_physics.slow import SlowProperties
from airtwin_physics.warm import warm_up
from airtwin_ros import convert, params, px4_commands, px4_topics, qos
from airtwin_ros.diagnostics import Diagnostics
from airtwin_ros.run import main as run

MODES = ("model", "shadow", "twin")
SOURCES = (
    "imu",
    "gnss",
    "barometer",
    "magnetometer",
    "airspeed",
    "rangefinder",
    "flow",
    "vision",
    "mocap",
    "motors",
    "servos",
    "rotor_speeds",
    "battery",
    "attitude",
    "position",
    "land_detected",
    "status",
)

_BAD = (Health.NOISY, Health.REJECTED, Health.STUCK)


@dataclass(frozen=True, slots=True)
class PhysicsParams(EstimatorConfig):
    """Parameters of the node: those of the estimator, whom it follows, what it may send.

    ``aircraft``: name in ``config/aircraft`` or path of such a file; empty: unknown, then drag
    is learned and nothing is identified. ``publish_external_odometry``: in mode twin only, and
    only then, the state goes back to PX4.

    Raises:
        ValueError: a value is outside its range, or odometry is asked for in another mode.
    """

    aircraft: str = ""
    mode: str = "shadow"
    publish_external_odometry: bool = False
    odometry_sigma_max_m: float = 1.5  # [m] a position less certain than this is withheld
    odometry_speed_sigma_max_m_s: float = 0.7  # [m/s] likewise
    frame_folder: str = ""  # where the frame of the odometry is kept; empty: the system's

    def __post_init__(self) -> None:
        EstimatorConfig.__post_init__(self)
        if self.mode not in MODES:
            raise ValueError(f"mode is {self.mode!r}, must be one of {', '.join(MODES)}")
        if self.publish_external_odometry and self.mode != "twin":
            raise ValueError(
                f"publish_external_odometry needs mode twin: in mode {self.mode} nothing can "
                "reach the aircraft"
            )
        for name in ("odometry_sigma_max_m", "odometry_speed_sigma_max_m_s"):
            if not 0.0 < getattr(self, name) <= 10.0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected above 0, at most 10")


class PhysicsNode(Node):
    """Follows one aircraft.

    In: topics of ``SOURCES`` (vehicle_attitude: first guess, and heading if there is no
    magnetometer; vehicle_local_position: origin only); with external odometry
    ``consistency/report``, and vehicle_visual_odometry not.
    Out: ``twin/state`` at 50 Hz of vehicle time; ``twin/parameters`` at 1 Hz if the aircraft is
    known; ``/diagnostics``; in mode twin with
    ``publish_external_odometry``, and only there, ``fmu/in/vehicle_visual_odometry``.
    """

    PARAMS = PhysicsParams

    def __init__(self, **node_options: Any) -> None:
        super().__init__("physics", **node_options)
        warm_up()
        self._params = params.declare(self, self.PARAMS)
        self._vehicle = px4_topics.vehicle_name(self)
        known = aircraft.load(self._params.aircraft) if self._params.aircraft else None
        self._estimator = Estimator(self._params, known)
        self._slow: SlowProperties | None = None
        self._intake = Intake()
        self._epoch = self._intake.epoch
        self._pace = Pace()
        self._state = self.create_publisher(TwinState, "twin/state", qos.STATE)
        if known is not None:
            self._slow = SlowProperties(known)
            self._parameters = self.create_publisher(
                ParameterEstimates, "twin/parameters", qos.RELIABLE
            )
        self._odometry: ExternalOdometry | None = None
        if self._params.publish_external_odometry:
            self._open_odometry()
        self._newest: State | None = None
        self._published: tuple[State, TwinState] | None = None
        self._notice = ""
        self._diagnostics = Diagnostics(self, self._intake, self._said)
        # on vision's topic it would hear itself, and take its own word for evidence
        heard = [s for s in SOURCES if s != "vision" or self._odometry is None]
        self._px4 = px4_topics.subscribe(self, self._intake, heard, self._on_sample)

    def _open_odometry(self) -> None:
        """Make the one publisher to the aircraft that this node can have."""
        values = self._params
        self._limits = OdometryLimits(
            sigma_max_m=values.odometry_sigma_max_m,
            speed_sigma_max_m_s=values.odometry_speed_sigma_max_m_s,
        )
        self._odometry = ExternalOdometry(self._limits)
        domain = self.context.get_domain_id()
        self._memory = FrameMemory(file_of(self._vehicle, domain, values.frame_folder))
        frame = self._memory.recall(self.get_clock().now().nanoseconds * 1e-9)
        if frame is not None:
            self._estimator.remember(frame)
        self._withheld = self._odometry.withheld
        self._visual = self.create_publisher(
            px4_commands.VehicleOdometry, "fmu/in/vehicle_visual_odometry", qos.PX4_IN
        )
        self.create_subscription(
            ConsistencyReport, "consistency/report", self._on_report, qos.RELIABLE
        )
        self.get_logger().warning(
            f"audit: {self._vehicle} external odometry is on: PX4 may fly on the twin's estimate "
            f"(sigma up to {self._limits.sigma_max_m:g} m, {self._limits.speed_sigma_max_m_s:g} "
            "m/s)"
        )

    def _on_sample(self, source: str, sample: Sample) -> None:
        if self._intake.epoch != self._epoch:
            self._epoch = self._intake.epoch
            self._estimator.reset("the vehicle's clock restarted")
        if isinstance(sample, Imu):
            self._pace.on(sample, self.get_clock().now().nanoseconds)
        state = self._estimator.on(sample)
        self._identify(sample)
        if state is None:
            return
        if self._pace.said:
            both = filter(None, (state.notice, self._pace.said))
            state = state._replace(notice="; ".join(both))
        msg = convert.twin_state_msg(state, self._vehicle, self._published)
        self._state.publish(msg)
        self._newest, self._published = state, (state, msg)
        self._identify(state)
        if state.notice != self._notice:
            self._notice = state.notice
            if state.notice:
                self.get_logger().warning(
                    f"{self._vehicle}: {state.notice}", throttle_duration_sec=1.0
                )
        if self._odometry is not None:
            self._send_odometry(self._odometry, state)

    def _identify(self, value: Sample | State) -> None:
        if self._slow is None:
            return
        found = self._slow.on(value)
        if found is not None:
            if self._slow.strange:
                self._estimator.doubt_file(self._slow.strange)
            self._parameters.publish(convert.identification_msg(found, self._vehicle))

    def _on_report(self, msg: ConsistencyReport) -> None:
        assert self._odometry is not None
        try:
            report = convert.report(msg)
        except ValueError as error:  # of another version: silence follows, and closes the gate
            self.get_logger().warning(f"report not read: {error}", throttle_duration_sec=5.0)
            return
        self._odometry.on_report(report, self.get_clock().now().nanoseconds)

    def _send_odometry(self, odometry: ExternalOdometry, state: State) -> None:
        now_ns = self.get_clock().now().nanoseconds
        pose = odometry.on_state(state, now_ns)
        if odometry.withheld != self._withheld:
            self._withheld = odometry.withheld
            self._audit(odometry.withheld)
        if pose is not None:
            quality = external_odometry.quality(state, self._limits)
            self._visual.publish(
                px4_commands.odometry_msg(pose, quality=quality, stamp_us=now_ns // 1000)
            )
            if pose.position_ned_m is not None and state.origin is not None:
                self._memory.keep(state.origin, now_ns * 1e-9)

    def _audit(self, withheld: str) -> None:
        if withheld:
            self.get_logger().warning(
                f"audit: {self._vehicle} external odometry withheld: {withheld}",
                throttle_duration_sec=1.0,
            )
        else:
            self.get_logger().warning(f"audit: {self._vehicle} external odometry is sent")

    def _said(self) -> tuple[str, dict[str, str]]:
        """Return what ``/diagnostics`` says of the estimator beside the counts."""
        state = self._newest
        if state is None:
            return "", {}
        values = {f"{one.source}/health": one.health.name.lower() for one in state.health}
        leaps = self._estimator.clock_leaps.items()
        values |= {f"{name}/leaps of its clock": str(count) for name, count in leaps}
        bad = [f"{h.source} {h.health.name.lower()}" for h in state.health if h.health in _BAD]
        words = [state.notice] if state.notice else []
        if bad:
            words.append(", ".join(bad))
        if self._odometry is not None:
            withheld = self._odometry.withheld
            values["external odometry"] = f"withheld: {withheld}" if withheld else "sent"
            if withheld:
                words.append(f"external odometry withheld: {withheld}")
        return "; ".join(words), values


def main() -> None:
    """Entry of ``ros2 run airtwin_physics node``."""
    run(PhysicsNode)
