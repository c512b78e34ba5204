"""Bounded look-ahead: a function mapped over items by threads, a few items before their turn."""

import collections
import concurrent.futures
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int
) -> Generator[Result, None, None]:
    """Yields `function(item)` for each item, in order.

    When the generator is closed or raises, calls that have not started are cancelled and running
    ones finish first. A `for` loop closes it on `break` and on an exception if nothing else holds
    it; otherwise use `contextlib.closing`.

    Args:
      function: called in `workers` threads; its first failure, in the order of items, is raised.
      items: taken in the consumer's thread; may be infinite.
      ahead: number of items, beyond the one last yielded, that are taken at most.
    """
    waiting: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
    pool = concurrent.futures.ThreadPoolExecutor(workers)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
