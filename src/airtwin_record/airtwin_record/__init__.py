# SPDX-License-Identifier: Apache-2.0
"""What happened, again and again: logs, recordings, replay and its report."""
