"""What this process has reserved in its Ray. Knows nothing of what runs there."""

from __future__ import annotations


def release() -> None:
    """Gives back every placement group of this process: if what asked for one was killed, it stays reserved."""
    import ray
    from ray.util.placement_group import PlacementGroup, placement_group_table, remove_placement_group

    own = ray.get_runtime_context().get_job_id()
    for name, group in placement_group_table().items():
        if name.endswith(own) and group["state"] != "REMOVED":  # a name ends with that of the driver
            remove_placement_group(PlacementGroup(ray.PlacementGroupID(bytes.fromhex(name))))
