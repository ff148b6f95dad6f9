"""The errors that a person can act on.

Each message is one line that names the file, key or row, the value seen and what was expected. Whatever starts a
stage or a command (``stage.main``, ``cli``) prints it without a traceback and exits with 1; every other exception is a
fault of ours and keeps its traceback.
"""


class UnrollError(Exception):
    """Base of every error whose message is written for the person who runs Unroll."""


class ConfigError(UnrollError):
    """A value in ``params.yaml`` or in the environment is missing, unknown or out of range."""


class DataError(UnrollError):
    """A data file is missing, damaged, or holds something other than what was expected."""


class ValidationError(UnrollError):
    """A critical expectation on the data failed: nothing after it may run."""


class StoreError(UnrollError):
    """A file of the project cannot be read or written."""


class TrackingError(UnrollError):
    """The tracking server or the model registry cannot be reached or refused a call."""


class TrainingError(UnrollError):
    """Training cannot go on: the loss is no number, or the device asked for is not there."""
