"""The schedule: storage, fusion, the arena."""
