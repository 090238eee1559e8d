# SPDX-License-Identifier: Apache-2.0
"""Imported once by the process that ``attach`` forks from: a twin's nodes and kernels.

No more: an aircraft in the air may be waiting for its twin. What ``nursery.py`` says of threads
and the middleware holds here.
"""

from airtwin_bringup.in_process import node_class
from airtwin_physics.warm import warm_up

for _package in ("airtwin_physics", "airtwin_consistency"):
    node_class(_package)
warm_up()
