# SPDX-License-Identifier: Apache-2.0
"""Which nodes run, and the command line."""
