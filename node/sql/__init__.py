"""SQL for the drivers: what storage and settlement share, and no table of either."""
