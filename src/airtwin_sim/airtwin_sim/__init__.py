# SPDX-License-Identifier: Apache-2.0
"""Embedded stand-in for PX4 SITL in Gazebo: a fleet of multirotors with a PX4-like front."""
