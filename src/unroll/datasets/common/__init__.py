"""What datasets share: their contract, raw files read with care, expectations."""
