"""The six stages of a task, one package each."""
