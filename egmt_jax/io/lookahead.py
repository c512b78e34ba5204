"""Bounded look-ahead: a function mapped over items by threads, a few items before their turn."""

import collections
import concurrent.futures
import contextlib
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int
) -> Generator[Result, None, None]:
    """Yields `function(item)` for each item, in order; see `futures_ahead`.

    Raises:
      Exception: the first failure, in the order of the items; the rest is cancelled.
    """
    with contextlib.closing(futures_ahead(function, items, workers, ahead)) as futures:
        for future in futures:
            yield future.result()


def futures_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int
) -> Generator[concurrent.futures.Future[Result], None, None]:
    """Yields a future of `function(item)` for each item, in order; one may fail without the rest.

    When the generator is closed or raises, calls that have not started are cancelled and running
    ones finish first. A `for` loop closes it on `break` and on an exception if nothing else holds
    it; otherwise use `contextlib.closing`.

    Args:
      function: called in `workers` threads.
      items: taken in the consumer's thread, at most `ahead` of them beyond the one last yielded;
        may be infinite.
      workers: number of threads; 1 calls the function for one item after the other.
      ahead: number of calls that are submitted, running or done ahead of the consumer.
    """
    waiting: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        except BaseException:  # GeneratorExit among them
            pool.shutdown(cancel_futures=True)
            raise
