"""Hallmark: a verifier node for decentralised fine-tuning."""

__version__ = "0.1.0"
