"""Digests, Merkle trees, signatures and seeded choices: values in, values out. Knows neither jobs nor files."""
