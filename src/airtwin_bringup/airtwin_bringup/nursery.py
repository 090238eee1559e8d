# SPDX-License-Identifier: Apache-2.0
"""Imported once by the process that all others are forked from: every node, every kernel.

Nothing here may start a thread or touch the middleware: a fork would carry half of it along.
"""

from airtwin_bringup import kernels
from airtwin_bringup.in_process import NODE_PACKAGES, node_class

for _package in NODE_PACKAGES:
    node_class(_package)
kernels.warm()
