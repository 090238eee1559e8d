# SPDX-License-Identifier: Apache-2.0
"""The link between an aircraft and its companion: it delays, it loses, it is out. One direction.

What is in it stays in order (a serial line or a tunnel does not reorder).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

Payload = TypeVar("Payload")


@dataclass(slots=True)
class Link(Generic[Payload]):
    """``delay_s`` late, ``loss`` 0 to 1 of the messages gone, nothing at all while ``out``."""

    rng: np.random.Generator
    delay_s: float = 0.0
    loss: float = 0.0
    out: bool = False
    _under_way: deque[tuple[int, Payload]] = field(default_factory=deque)

    @property
    def perfect(self) -> bool:
        """Return whether a message may go straight through."""
        quiet = self.delay_s <= 0.0 and self.loss <= 0.0 and not self.out
        return quiet and not self._under_way

    def send(self, now_us: int, payload: Payload) -> None:
        """Put a message in; a lost one is gone."""
        if self.out or (self.loss > 0.0 and self.rng.random() < self.loss):
            return
        self._under_way.append((now_us + round(self.delay_s * 1e6), payload))

    def receive(self, now_us: int) -> Iterator[Payload]:
        """Take out what has arrived by now; an outage swallows what arrives during it."""
        while self._under_way and self._under_way[0][0] <= now_us:
            _, payload = self._under_way.popleft()
            if not self.out:
                yield payload
