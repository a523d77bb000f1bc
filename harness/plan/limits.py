"""The most that is asked of one server: more would take the host down before it is measured."""

from __future__ import annotations

from typing import Final

MOST_TENANTS: Final = 10_000
MOST_WORKERS: Final = 1_024
"""A pool has a process for each worker."""
