"""The token bucket against a slow, obvious count: never more than its size at once, nor than its rate for long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.coordinator.limits import Bucket


@given(st.integers(1, 20), st.integers(1, 50), st.lists(st.floats(0, 2, allow_nan=False), min_size=1, max_size=200))
def test_in_no_span_of_time_more_is_served_than_size_and_rate_allow(
    size: int, per_second: int, pauses: list[float]
) -> None:
    bucket, now, served = Bucket(size, per_second, 0.0), 0.0, list[float]()
    for pause in pauses:
        now += pause
        if bucket.take(now) == 0:
            served.append(now)
    for first, start in enumerate(served):
        for last in range(first, len(served)):
            assert last - first + 1 <= size + (served[last] - start) * per_second + 1e-6


@given(st.integers(1, 20), st.integers(1, 50))
def test_whoever_waits_as_long_as_told_is_served(size: int, per_second: int) -> None:
    bucket = Bucket(size, per_second, 0.0)
    for _ in range(size):
        assert bucket.take(0.0) == 0
    wait_seconds = bucket.take(0.0)
    assert 0 < wait_seconds <= 1 / per_second
    assert bucket.take(wait_seconds / 2) > 0
    assert bucket.take(wait_seconds + 1e-9) == 0
