# SPDX-License-Identifier: Apache-2.0
"""Slow properties of an aircraft, from its flights. See README.md here."""
