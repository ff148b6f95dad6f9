"""Judge the table; rows that may not be learned from are set aside."""
