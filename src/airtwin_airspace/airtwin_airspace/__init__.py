# SPDX-License-Identifier: Apache-2.0
"""The airspace manager: zones, tracks, conflicts between aircraft, and who holds."""
