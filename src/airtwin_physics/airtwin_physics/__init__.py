# SPDX-License-Identifier: Apache-2.0
"""The physical model: where the aircraft is, and how it moves."""
