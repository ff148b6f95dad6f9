"""Which model is in use and why: registration, the gate, challenges, promotion, history, lineage."""
