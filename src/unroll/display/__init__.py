"""What people see: numbers and names in words, progress on a terminal or a line at a time."""
