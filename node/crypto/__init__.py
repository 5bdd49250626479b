"""Digests, Merkle trees, signatures and seeded choices: values in, values out. Knows nothing of jobs, marks or files."""
