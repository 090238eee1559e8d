# SPDX-License-Identifier: Apache-2.0
"""``./airtwin doctor``: what was found, whether it fits together, and what to do where not.

The judges are pure: facts in, findings out. ``run`` collects the facts, prints and sums up.
"""

from __future__ import annotations

import enum
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import psutil
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from airtwin_bringup import sighting
from airtwin_bringup.sighting import Sighting

AGENTS = ("MicroXRCEAgent", "micro-xrce-dds-agent", "micro_ros_agent")
AGENT_COMMAND = "MicroXRCEAgent udp4 -p 8888"
DOMAIN_MAX = 101  # above, the ports of DDS meet those that Linux hands out
BOOT_TIME_LAG_S = 1.0e6  # a stamp so far from the wall clock counts from PX4's start
LAG_MAX_S = 1.0  # PX4's clock filter alone makes 0.2 s


class Level(enum.Enum):
    """How bad a finding is; ``ERROR`` makes the command fail."""

    OK = "ok"
    NOTE = "note"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table. ``remedy``: what to do; empty where nothing is to be done."""

    subject: str
    found: str
    level: Level = Level.OK
    remedy: str = ""


def judge_python(version: tuple[int, int], executable: str) -> Finding:
    """Judge the interpreter. ``version``: (major, minor)."""
    found = f"{version[0]}.{version[1]}, {executable}"
    if (3, 10) <= version <= (3, 13):
        return Finding("Python", found)
    return Finding(
        "Python", found, Level.ERROR, "AirTwin runs on 3.10 to 3.13: install one of them"
    )


def judge_ros(environment: Mapping[str, str], rmw: str | None, error: str) -> list[Finding]:
    """Judge ROS 2 itself. ``rmw``: what rclpy loaded, None and ``error`` if it could not."""
    origin = environment.get("AIRTWIN_ROS", "the shell's environment")
    origin = "wheels in .venv" if origin == "wheels" else origin
    findings = [Finding("ROS 2", f"{environment.get('ROS_DISTRO', 'unknown')} from {origin}")]
    wanted = environment.get("RMW_IMPLEMENTATION", "")
    if rmw is None:
        remedy = "start through ./airtwin, or source ROS 2's setup.bash"
        if wanted and origin.startswith("wheels"):
            remedy = "unset RMW_IMPLEMENTATION: the wheels bring rmw_fastrtps_cpp only"
        findings.append(Finding("RMW", f"{wanted or 'none'}: {error}", Level.ERROR, remedy))
    elif "zenoh" in rmw:
        remedy = "export RMW_IMPLEMENTATION=rmw_fastrtps_cpp: PX4's agent speaks DDS"
        findings.append(Finding("RMW", rmw, Level.ERROR, remedy))
    else:
        findings.append(Finding("RMW", rmw))
    findings.append(judge_domain(environment))
    return findings


def judge_domain(environment: Mapping[str, str]) -> Finding:
    """Judge what limits who can be seen: domain and discovery range."""
    text = environment.get("ROS_DOMAIN_ID", "") or "0"
    if not text.isdecimal() or int(text) > DOMAIN_MAX:
        remedy = (
            f"export ROS_DOMAIN_ID=N with N from 0 to {DOMAIN_MAX}, as UXRCE_DDS_DOM_ID in PX4"
        )
        return Finding("Domain", text, Level.ERROR, remedy)
    reach = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET").upper()
    if environment.get("ROS_LOCALHOST_ONLY", "0") == "1":
        reach = "LOCALHOST"
    if reach in ("LOCALHOST", "OFF"):
        remedy = "unset ROS_LOCALHOST_ONLY and ROS_AUTOMATIC_DISCOVERY_RANGE to see other machines"
        return Finding("Domain", f"{text}, discovery: {reach.lower()}", Level.NOTE, remedy)
    return Finding("Domain", text)


def judge_messages(place: str, versions: Mapping[str, int], missing: Iterable[str]) -> Finding:
    """Judge px4_msgs. ``place``: version and folder; ``versions``: MESSAGE_VERSION by message."""
    release = sighting.release(
        {
            "vehicle_status": versions.get("VehicleStatus", 0),
            "battery_status": versions.get("BatteryStatus", 0),
        }
    )
    versioned = ", ".join(f"{name} v{version}" for name, version in versions.items() if version)
    found = f"for PX4 {release} ({versioned or 'none versioned'}), {place}"
    lacking = ", ".join(missing)
    if lacking:
        remedy = "use px4_msgs of PX4 1.16 to 1.18; AirTwin's own is used where none is sourced"
        return Finding("px4_msgs", f"{found}; lacks {lacking}", Level.ERROR, remedy)
    return Finding("px4_msgs", found)


def judge_vehicle(name: str, topics: list[Sighting], expected: Mapping[str, str]) -> list[Finding]:
    """Judge one vehicle: does data come, can it be read, do its stamps mean anything?"""
    alive = [seen for seen in topics if seen.messages]
    source = sorted({node for seen in topics for node in seen.nodes})
    origin = f"from node {', '.join(source)}" if source else "over the bridge"
    versions = {seen.base.rsplit("/", 1)[-1]: seen.version for seen in topics}
    found = (
        f"PX4 {sighting.release(versions)} {origin}, data on {len(alive)} of {len(topics)} topics"
    )
    findings = []
    if any(seen.publishers for seen in topics) and not alive:
        remedy = (
            "the agent or a dead process still announces it: restart PX4 (data returns after "
            "8 s), or listen longer with --timeout"
        )
        findings.append(Finding(name, f"{found}: a ghost", Level.ERROR, remedy))
    else:
        findings.append(Finding(name, found))
    foreign = sighting.foreign_versions(topics, expected)
    if foreign:
        remedy = (
            f"PX4 {sighting.release(versions)} is not what the messages were built for. Put "
            "px4_msgs of that release in a workspace, build and source it, then start ./airtwin "
            "again; without ROS 2 put its files in src/interfaces/px4_msgs/msg"
        )
        findings.append(
            Finding(
                name, "messages that cannot be read: " + "; ".join(foreign), Level.ERROR, remedy
            )
        )
    findings += _judge_publishers(name, topics)
    findings += _judge_clock(name, alive)
    return findings


def _judge_publishers(name: str, topics: list[Sighting]) -> list[Finding]:
    doubled = [seen for seen in topics if seen.publishers > 1 and "status" in seen.base]
    if not doubled:
        return []
    remedy = (
        "if the agent was restarted, wait 11 s; else two vehicles share a namespace: "
        "give the second one px4_N (UXRCE_DDS_NS_IDX, or -i N in SITL)"
    )
    found = f"{max(seen.publishers for seen in doubled)} publishers on {doubled[0].topic}"
    return [Finding(name, found, Level.NOTE, remedy)]


def _judge_clock(name: str, alive: list[Sighting]) -> list[Finding]:
    lags = sorted(seen.lag_s for seen in alive if seen.lag_s is not None)
    if not lags:
        return []
    lag_s = lags[len(lags) // 2]
    if abs(lag_s) > BOOT_TIME_LAG_S:
        remedy = "set UXRCE_DDS_SYNCT=1 in PX4, unless it runs faster than real time"
        return [Finding(name, "time stamps count from its start", Level.NOTE, remedy)]
    if abs(lag_s) > LAG_MAX_S:
        remedy = "synchronise the clocks of PX4's agent and of this machine (chrony, NTP)"
        return [
            Finding(name, f"time stamps are {lag_s:+.1f} s behind this clock", Level.NOTE, remedy)
        ]
    return []


def judge_agent(vehicles: Mapping[str, list[Sighting]], processes: Iterable[str]) -> Finding:
    """Judge the uXRCE-DDS agent by what it delivers, then by whether it runs here."""
    bridged = [s for topics in vehicles.values() for s in topics if s.publishers and not s.nodes]
    here = ", ".join(sorted(set(processes)))
    if any(seen.messages for seen in bridged):
        return Finding("Agent", f"delivers data{f', {here} runs here' if here else ''}")
    if bridged:
        remedy = "PX4 behind it is silent: see the vehicle's line"
        return Finding("Agent", "announces topics, delivers nothing", Level.NOTE, remedy)
    if here:
        remedy = "start PX4 with UXRCE_DDS_CFG set, or `uxrce_dds_client start -h IP -p 8888`"
        return Finding("Agent", f"{here} runs here, no vehicle behind it", Level.NOTE, remedy)
    remedy = f"for a PX4: {AGENT_COMMAND}; without one: ./airtwin demo"
    return Finding("Agent", "not seen", Level.NOTE, remedy)


def judge_graph(
    sightings: Iterable[Sighting], expected: Mapping[str, str], processes: Iterable[str]
) -> list[Finding]:
    """Judge agent and vehicles. ``expected``: topic without version -> topic as built."""
    vehicles = sighting.by_vehicle(s for s in sightings if s.publishers or s.messages)
    findings = [judge_agent(vehicles, processes)]
    for name, topics in vehicles.items():
        findings += judge_vehicle(name, topics, expected)
    return findings


def table(findings: Iterable[Finding]) -> Table:
    """Return the findings as a person reads them."""
    colour = {Level.OK: "green", Level.NOTE: "yellow", Level.ERROR: "bold red"}
    shown = Table(show_lines=False, pad_edge=False)
    shown.add_column("", no_wrap=True)
    shown.add_column("What", no_wrap=True)
    shown.add_column("Found", overflow="fold", ratio=3)
    shown.add_column("What to do", overflow="fold", ratio=3)
    for finding in findings:
        mark = f"[{colour[finding.level]}]{finding.level.value}[/]"
        texts = (finding.subject, finding.found, finding.remedy)
        shown.add_row(mark, *(escape(text) for text in texts))
    return shown


def _agents_here() -> list[str]:
    names = (process.info["name"] or "" for process in psutil.process_iter(["name"]))
    # Linux keeps 15 characters of a process name.
    return [name for name in names if any(agent.startswith(name) for agent in AGENTS if name)]


def _px4_msgs_place() -> str:
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        manifest = Path(prefix, "share", "px4_msgs", "package.xml")
        if prefix and manifest.is_file():
            version = ElementTree.parse(manifest).getroot().findtext("version", "?")
            return f"package {version} in {prefix}"
    return "not in AMENT_PREFIX_PATH"


def _ros_findings() -> list[Finding]:
    try:
        from rclpy.utilities import get_rmw_implementation_identifier

        rmw = get_rmw_implementation_identifier()
    except (ImportError, RuntimeError) as error:
        reason = str(error).strip().splitlines()
        return judge_ros(os.environ, None, reason[-1] if reason else type(error).__name__)
    return judge_ros(os.environ, rmw, "")


def _live_findings(timeout_s: float) -> list[Finding]:
    try:
        from airtwin_bringup import bridge
    except ImportError as error:
        remedy = "start through ./airtwin, which builds it"
        return [Finding("px4_msgs", str(error), Level.ERROR, remedy)]
    messages = judge_messages(
        _px4_msgs_place(), bridge.message_versions(), bridge.missing_messages()
    )
    graph = judge_graph(bridge.listen(timeout_s), bridge.expected_topics(), _agents_here())
    return [messages, *graph]


def run(timeout_s: float, console: Console | None = None) -> int:
    """Print the table after listening for ``timeout_s``; return 1 if anything does not fit."""
    console = console or Console()
    findings = [judge_python((sys.version_info[0], sys.version_info[1]), sys.executable)]
    findings.append(Finding("Machine", f"{platform.system()} {platform.machine()}"))
    findings += _ros_findings()
    if not any(finding.level is Level.ERROR for finding in findings):
        with console.status(f"listening for PX4 topics, {timeout_s:g} s"):
            findings += _live_findings(timeout_s)
    console.print(table(findings))
    errors = [finding for finding in findings if finding.level is Level.ERROR]
    for finding in errors:
        line = f"[bold red]error:[/] {escape(finding.subject)}: {escape(finding.found)}"
        console.print(line, soft_wrap=True)
    return 1 if errors else 0
