"""Hallmark: a verifier node for decentralised fine-tuning."""
