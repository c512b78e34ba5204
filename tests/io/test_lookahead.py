"""Bounded look-ahead."""

import itertools
import threading

import pytest

from egmt_jax.io.lookahead import map_ahead


@pytest.mark.parametrize(("workers", "ahead"), [(1, 0), (1, 3), (3, 2), (2, 100)])
def test_results_come_in_order(workers, ahead):
    assert list(map_ahead(lambda k: k**2, range(20), workers, ahead)) == [k**2 for k in range(20)]


def test_at_most_ahead_items_are_taken():
    items = itertools.count()
    results = map_ahead(str, items, 2, 3)
    assert [next(results), next(results)] == ["0", "1"]
    assert next(items) == 5  # 0 to 4 were taken: two yielded and three ahead
    results.close()


@pytest.mark.parametrize("fault", ["consumer", "function", "items"])
def test_pending_calls_are_cancelled_and_running_ones_finish(fault):
    called, finished, release = [], [], threading.Event()

    def fail(name):
        threading.Timer(0.2, release.set).start()
        raise KeyError(name)

    def call(k):
        called.append(k)
        assert k == 0 or release.wait(10)
        finished.append(k)
        if fault == "function":
            fail("function")

    def items():
        yield from range(4)
        fail("items")

    def consume():
        for _ in map_ahead(call, items(), 1, 4 if fault == "items" else 2):
            fail("consumer")

    threads = set(threading.enumerate())
    with pytest.raises(KeyError, match=fault):
        consume()
    assert called == finished
    assert len(called) < 4
    assert not [t for t in set(threading.enumerate()) - threads if "Pool" in t.name]
