"""An operator's own Ray: started on this machine for trainers and verifiers alike, and gone when its driver is."""
