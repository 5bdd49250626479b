"""The escrow port over `contracts_sim`, inside the caller's SQL transaction."""
