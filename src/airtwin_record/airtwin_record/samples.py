# SPDX-License-Identifier: Apache-2.0
"""Tables of one aircraft as samples in the order of arrival, counted as the nodes count them."""

from __future__ import annotations

import collections
import keyword
from collections.abc import Iterator
from typing import Any

import numpy as np

from airtwin_core.intake import Intake
from airtwin_core.types import Sample
from airtwin_record.flight import Table, VehicleLog
from airtwin_ros import px4

NOT_NEEDED = frozenset(("odometry", "home", "ack"))
"""Sources that neither estimator nor monitor takes: not read, and said so."""


def rows(table: Table) -> Iterator[Any]:
    """Yield each message as an object with PX4's attribute names.

    Columns become Python values at once: a numpy scalar per field and row would cost more than
    the estimator.
    """
    names = [
        name
        for name in table.columns
        if name.isidentifier() and not name.startswith("_") and not keyword.iskeyword(name)
    ]
    row = collections.namedtuple("row", names)  # type: ignore[misc]
    return map(row._make, zip(*(table.columns[name].tolist() for name in names), strict=True))


def samples(log: VehicleLog, intake: Intake) -> Iterator[tuple[int, str, Sample]]:
    """Yield (received_ns, source, sample) of all that ``px4`` reads and ``intake`` admits."""
    for source, causes in log.rejected.items():
        for cause, count in causes.items():
            for _ in range(count):
                intake.reject(source, cause)
    tables = [table for table in log.tables if table.source not in NOT_NEEDED]
    arrivals = np.concatenate([table.received_ns for table in tables])
    which = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    order = np.argsort(arrivals, kind="stable")
    readers = [(rows(table), px4.reader(table.source)) for table in tables]
    feeds = [(rows, reader.source, reader.convert) for rows, reader in readers]
    for received_ns, index in zip(arrivals[order].tolist(), which[order].tolist(), strict=True):
        messages, source, convert = feeds[index]
        try:
            sample = convert(next(messages), received_ns)
        except px4.BadMessage as error:
            intake.reject(source, error.cause)
            continue
        except AttributeError as error:
            intake.reject(source, f"message lacks the field {error.name}")
            continue
        except (TypeError, ValueError, OverflowError):
            # where the file's definition is damaged, a field may have any type and length
            intake.reject(source, "a field has the wrong type")
            continue
        if intake.admit(source, sample):
            yield received_ns, source, sample
