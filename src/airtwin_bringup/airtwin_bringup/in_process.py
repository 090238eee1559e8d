# SPDX-License-Identifier: Apache-2.0
"""Builds the nodes of a graph in this process and keeps them alive.

A node whose callback raises is a bug, not a state: it is taken down, built anew from its spec,
and the restart is logged and published on ``/diagnostics``, so that recording and report show
the gap.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.context import Context
from rclpy.executors import (
    ConditionReachedException,
    ExternalShutdownException,
    ShutdownException,
    SingleThreadedExecutor,
    TimeoutException,
)
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription

from airtwin_bringup import settings
from airtwin_bringup.graph import NodeSpec
from airtwin_ros import qos

RESTARTS_MAX = 5
"""So many restarts within ``RESTART_WINDOW_S`` mean that restarting does not help."""
RESTART_WINDOW_S = 60.0
DRAIN_MAX = 32
"""Messages taken from one subscription before timers get their turn."""


class NodeGaveUp(RuntimeError):
    """A node crashed too often; names the node and the last error."""


NODE_PACKAGES = (
    "airtwin_physics",
    "airtwin_consistency",
    "airtwin_mission",
    "airtwin_airspace",
    "airtwin_console",
    "airtwin_sim",
    "airtwin_record",
)


def node_class(package: str) -> type[Node]:
    """Return the node of a package; only what runs is imported, which starts a process faster.

    Raises:
        KeyError: the package has no node.
    """
    match package:
        case "airtwin_physics":
            from airtwin_physics.node import PhysicsNode as Chosen
        case "airtwin_consistency":
            from airtwin_consistency.node import ConsistencyNode as Chosen
        case "airtwin_mission":
            from airtwin_mission.node import MissionNode as Chosen
        case "airtwin_airspace":
            from airtwin_airspace.node import AirspaceNode as Chosen
        case "airtwin_console":
            from airtwin_console.node import ConsoleNode as Chosen
        case "airtwin_sim":
            from airtwin_sim.node import SimNode as Chosen
        case "airtwin_record":
            from airtwin_record.node import RecorderNode as Chosen
        case _:
            raise KeyError(f"{package} has no node")
    return Chosen


def build(spec: NodeSpec, context: Context) -> Node:
    """Return the node of ``spec``: values of ``config/<name>.yaml``, then those of the spec."""
    values = settings.node(spec.name) | spec.parameters
    overrides = [
        Parameter(name, value=list(value) if isinstance(value, tuple) else value)
        for name, value in values.items()
    ]
    return node_class(spec.package)(
        namespace=spec.namespace or None,
        context=context,
        parameter_overrides=overrides,
        use_global_arguments=False,
    )


class _Executor(SingleThreadedExecutor):
    """Tells whose callback raised, and takes all that has come for a subscription at once.

    rclpy's own executor makes a new wait set for every single message; at PX4's 500 messages a
    second that costs more than the twin does.
    """

    def spin_some(self, timeout_s: float) -> list[tuple[Node, BaseException]]:
        """Wait up to ``timeout_s``, run all that is ready, return the nodes that failed."""
        failed: list[tuple[Node, BaseException]] = []
        try:
            for handler, entity, node in self._wait_for_ready_callbacks(timeout_sec=timeout_s):
                if any(node is bad for bad, _ in failed):
                    handler.cancel()
                    continue
                handler()
                error = handler.exception()
                if error is None and isinstance(entity, Subscription):
                    error = _drain(entity)
                if error is not None:
                    failed.append((node, error))
        except (TimeoutException, ShutdownException, ConditionReachedException):
            pass
        return failed


def _drain(subscription: Subscription) -> BaseException | None:
    kinds = getattr(Subscription, "CallbackType", None)  # Humble has none
    told = kinds is not None and subscription._callback_type is kinds.WithMessageInfo
    try:
        with subscription.handle:
            for _ in range(DRAIN_MAX):
                taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
                if taken is None:
                    break
                subscription.callback(*taken[: 2 if told else 1])
    except Exception as error:  # noqa: BLE001 - a node's bug, whatever it is: it is restarted
        return error
    return None


@dataclass
class _Running:
    spec: NodeSpec
    node: Node
    restarts: list[float] = field(default_factory=list)


class InProcess:
    """The nodes of ``specs`` in one executor. Use as a context manager.

    ``pace_s``: so long messages may gather before they are taken together; 0 takes each at once.

    Raises:
        NodeGaveUp: from ``spin_once``, when a node crashed ``RESTARTS_MAX`` times in a minute.
    """

    def __init__(
        self, specs: Iterable[NodeSpec], context: Context, *, pace_s: float = 0.0
    ) -> None:
        self._pace_s = pace_s
        self._context = context
        self._executor = _Executor(context=context)
        self._supervisor = Node(
            "supervisor",
            context=context,
            use_global_arguments=False,
            start_parameter_services=False,
        )
        self._diagnostics = self._supervisor.create_publisher(
            DiagnosticArray, "/diagnostics", qos.RELIABLE
        )
        self._running = [self._start(spec) for spec in specs]

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that run now, in the order of the specs."""
        return tuple(running.node for running in self._running)

    def add(self, node: Node) -> None:
        """Spin a node of the caller's with the others; it is not supervised."""
        self._executor.add_node(node)

    def spin_once(self, timeout_s: float) -> None:
        """Run what is ready within ``timeout_s``; restart each node whose callback raised."""
        try:
            failed = self._executor.spin_some(timeout_s)
        except ExternalShutdownException:
            return
        for node, error in failed:
            self._restart(node, error)

    def spin(self, until: Callable[[], bool]) -> None:
        """Run until ``until()`` or the context shuts down."""
        while self._context.ok() and not until():
            self.spin_once(0.1)
            if self._pace_s:
                time.sleep(self._pace_s)

    def shutdown(self) -> None:
        """Destroy all nodes."""
        for running in self._running:
            self._executor.remove_node(running.node)
            running.node.destroy_node()
        self._running.clear()
        self._supervisor.destroy_node()
        self._executor.shutdown(timeout_sec=0.0)

    def _start(self, spec: NodeSpec) -> _Running:
        node = build(spec, self._context)
        self._executor.add_node(node)
        return _Running(spec, node)

    def _restart(self, node: Node, error: BaseException) -> None:
        running = next((r for r in self._running if r.node is node), None)
        if running is None:
            raise error
        name = node.get_fully_qualified_name()
        now = time.monotonic()
        running.restarts = [t for t in running.restarts if now - t < RESTART_WINDOW_S] + [now]
        trace = "".join(traceback.format_exception(error))
        self._supervisor.get_logger().error(f"{name} crashed and is restarted:\n{trace}")
        if len(running.restarts) > RESTARTS_MAX:
            raise NodeGaveUp(
                f"{name} crashed {RESTARTS_MAX} times in a minute: {error}"
            ) from error
        self._executor.remove_node(node)
        node.destroy_node()
        running.node = build(running.spec, self._context)
        self._executor.add_node(running.node)
        self._diagnostics.publish(
            restart_diagnostic(self._supervisor, name, f"{type(error).__name__}: {error}")
        )


def restart_diagnostic(node: Node, name: str, cause: str) -> DiagnosticArray:
    """Return the message that says that ``name`` was restarted, and why."""
    status = DiagnosticStatus(level=DiagnosticStatus.ERROR, name=name, message="restarted")
    status.hardware_id = "supervisor"
    status.values.append(KeyValue(key="cause", value=cause))
    msg = DiagnosticArray(status=[status])
    msg.header.stamp = node.get_clock().now().to_msg()
    return msg
