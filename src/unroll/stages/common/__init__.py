"""What all stages share: the entry point, the task, how long a stage took."""
