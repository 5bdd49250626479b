"""What a training asks of the machines of a Ray."""

from __future__ import annotations

import pytest

from node.provider.actors import allotment, largest


@pytest.mark.parametrize(
    ("nodes", "gpus", "cpus"),
    [
        ([{"CPU": 2.0}], 0, 2),
        ([{"CPU": 16.0, "GPU": 1.0}], 1, 16),
        ([{"CPU": 16.0, "GPU": 4.0}], 1, 4),
        ([{"CPU": 2.0, "GPU": 4.0}], 1, 0),
        ([{"CPU": 64.0}, {"CPU": 16.0, "GPU": 2.0}, {"memory": 1.0}], 1, 8),
        ([{"CPU": 4.0}, {"CPU": 8.0}], 0, 8),
    ],
)
def test_a_gpu_goes_with_its_share_of_the_largest_machines_cpus(
    nodes: list[dict[str, float]], gpus: int, cpus: int
) -> None:
    assert allotment(largest(nodes)) == {"GPU": gpus, "CPU": cpus}
