"""Work with the disk in the workspace's pool: its threads keep their connections to the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from core.errors import BailiwickError

if TYPE_CHECKING:
    from core.hardware.pool import WorkerPool

_log = logging.getLogger(__name__)
T = TypeVar("T")


async def in_pool(pool: WorkerPool, job: Callable[[], T]) -> T:
    """Run ``job`` in the pool and await its answer; whatever it raises is raised here as a BailiwickError."""
    try:
        return await asyncio.wrap_future(pool.submit(job))
    except BailiwickError:
        raise
    except Exception as error:
        raise as_sentence(error) from error


def submit_newest(
    pool: WorkerPool, key: str, job: Callable[[], T], take: Callable[[T | BailiwickError], object]
) -> None:
    """Run the newest ``job`` of ``key`` in the pool and hand its outcome to ``take``, mostly in the pool's thread."""

    def finished(future: Future[T]) -> None:
        if future.cancelled():
            return
        error = future.exception()
        take(future.result() if error is None else as_sentence(error))

    try:
        pool.submit_latest(key, job).add_done_callback(finished)
    except BailiwickError as error:
        take(error)


def as_sentence(error: BaseException) -> BailiwickError:
    """``error`` as a person may see it; what nobody foresaw goes to the log."""
    if isinstance(error, BailiwickError):
        return error
    _log.error("a job failed", exc_info=error)
    return BailiwickError("That did not work.", "The log has the details.")
