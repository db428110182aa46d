"""What requests and storage cost, by list price.

Cloudflare R2 (developers.cloudflare.com/r2/pricing) and AWS S3 Standard in us-east-1 (aws.amazon.com/s3/pricing). Other
S3 servers are reckoned as R2, so that a budget means something there too. The free allowance of a month is not taken
off: a budget that counts on it would be passed by whoever shares the bucket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.sync_model import Operations

_MILLION = 1_000_000
_GIGABYTE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class PriceList:
    """US dollars for a million requests of class A and of class B, and for a GB stored for a month."""

    class_a: float
    class_b: float
    storage: float

    def cost(self, operations: Operations) -> float:
        """US dollars for ``operations``."""
        return (operations.class_a * self.class_a + operations.class_b * self.class_b) / _MILLION

    def storage_cost(self, size: int) -> float:
        """US dollars for ``size`` bytes that lie there for a month."""
        return size * self.storage / _GIGABYTE


FREE = PriceList(0, 0, 0)
R2 = PriceList(class_a=4.50, class_b=0.36, storage=0.015)
AWS = PriceList(class_a=5.00, class_b=0.40, storage=0.023)


def prices_of(url: str) -> PriceList:
    """The prices of the remote at ``url``: a folder costs nothing, nor does what others offer over HTTPS."""
    if not url.startswith("s3:"):
        return FREE
    options = dict(re.findall(r"[?&](profile|endpoint)=([^&]+)", url))
    return AWS if options.get("profile") == "aws" or not options else R2
