"""Work ahead and behind: order, bounds, errors, and no thread left over."""

from __future__ import annotations

import threading
import time

import pytest

from dynsal.threads import Ahead, Behind


def test_items_come_in_order_and_not_too_far_ahead():
    made: list[int] = []

    def items():
        for number in range(50):
            made.append(number)
            yield number

    with Ahead(items(), 3) as ahead:
        for number, found in enumerate(ahead):
            assert found == number
            assert len(made) <= number + 1 + 3 + 1  # taken, in the queue, in the hand of the thread
        with pytest.raises(StopIteration):
            next(ahead)
    assert made == list(range(50))


def test_an_error_comes_in_its_place():
    def items():
        yield 1
        raise ValueError("broken")

    with Ahead(items(), 5) as ahead:
        time.sleep(0.05)
        assert next(ahead) == 1
        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                next(ahead)


@pytest.mark.parametrize("taken", [0, 2])
def test_leaving_early_stops_the_thread(taken):
    before, closed = threading.active_count(), []

    def items():
        try:
            yield from range(10**9)
        finally:
            closed.append(True)

    with Ahead(items(), 2) as ahead:
        for _ in range(taken):
            next(ahead)
    assert threading.active_count() == before
    assert closed


def test_all_is_done_behind_in_order():
    done: list[int] = []

    def work(number):
        time.sleep(0.001)
        done.append(number)

    with Behind(work, 3) as behind:
        for number in range(40):
            behind.put(number)
            assert number - len(done) <= 3 + 1
    assert done == list(range(40))


def test_an_error_behind_is_raised_and_ends_the_work():
    before, done = threading.active_count(), []

    def work(number):
        if number == 3:
            raise ValueError("broken")
        done.append(number)

    with pytest.raises(ValueError, match="broken"), Behind(work, 2) as behind:
        for number in range(1000):
            behind.put(number)
    assert done == [0, 1, 2]
    with pytest.raises(ValueError, match="broken"), Behind(work, 10) as behind:  # at the end of the block
        behind.put(3)
    with pytest.raises(KeyError), Behind(work, 10) as behind:  # that of the block goes first
        behind.put(3)
        raise KeyError
    assert threading.active_count() == before
