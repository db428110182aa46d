"""What requests cost: Cloudflare R2's list prices (developers.cloudflare.com/r2/pricing), which are the defaults.

The free allowance of a month is not taken off: a budget that counts on it would be passed by whoever shares the bucket.
"""

from __future__ import annotations

from core.sync_model import Operations

CLASS_A_DOLLARS = 4.50 / 1_000_000
CLASS_B_DOLLARS = 0.36 / 1_000_000


def cost_of(operations: Operations, kind: str) -> float:
    """US dollars for ``operations`` on a remote of ``kind``: those of a folder cost nothing."""
    if kind != "s3":
        return 0.0
    return operations.class_a * CLASS_A_DOLLARS + operations.class_b * CLASS_B_DOLLARS
