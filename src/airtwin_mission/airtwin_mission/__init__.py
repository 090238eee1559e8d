# SPDX-License-Identifier: Apache-2.0
"""The behavioural model: decide what to fly, and say what the aircraft should be doing."""
