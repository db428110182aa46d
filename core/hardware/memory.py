"""How much memory is left for us at this moment."""

from __future__ import annotations

import psutil


def memory_left(most_bytes: int) -> tuple[int, int]:
    """Bytes that may still be taken, and all that there are, where this process may use ``most_bytes`` in all.

    A control group bounds a process more tightly than the machine does, and the machine's own counters do not show it.
    Takes some tens of microseconds; raises OSError and psutil's errors where the system does not tell.
    """
    memory = psutil.virtual_memory()
    total = min(int(memory.total), most_bytes)
    resident = int(psutil.Process().memory_info().rss)
    return max(0, min(int(memory.available), total - resident)), total
