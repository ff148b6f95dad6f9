"""What problems over windows of a series share: from a table to arrays, batches, raw recent rows."""
