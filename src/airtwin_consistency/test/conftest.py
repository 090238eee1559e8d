# SPDX-License-Identifier: Apache-2.0
"""Makes the helpers beside the tests importable (pytest's importlib mode adds no path)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
