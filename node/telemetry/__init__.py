"""What a running node tells its operator: log lines, metrics and traces. Decides nothing, and knows no mark."""
