"""Everything agentcompress raises on purpose.

AgentCompressError
├── InvalidInputError (also ValueError)   a value from the caller; names the field and the allowed range
│   ├── ConfigError                       a field of CompressConfig
│   ├── UnknownNameError                  no scorer, segmenter, draft or target goes by that name
│   ├── TooLongError                      a text beyond a model's context
│   └── MessageFormatError                a message list that no known wire format describes
├── DraftError                            the draft model can't be used
│   ├── DraftUnavailableError             not on this machine and not to be had from the network
│   ├── DraftCorruptError                 what is on disk or was fetched is not what it should be
│   └── DraftUnsupportedError             the architecture can't be read (no attention to capture)
├── SegmentationError                     a segmenter failed or gave units that don't tile the text
├── ScoringError                          a scorer failed or gave scores that can't be used
├── DeadlineError                         the caller's deadline passed, or it took its call back
├── StoreError                            a ledger that can't be read or written now
├── EvaluationError                       a target failed while it was evaluated
└── PluginError                           an entry point or "pkg.mod:Class" that can't be loaded
"""

from __future__ import annotations


class AgentCompressError(Exception):
    """The root: catch this one to go on with the original request."""


class InvalidInputError(AgentCompressError, ValueError):
    """A value the caller gave is outside its range.

    `field` is the argument's name, `allowed` says in words what would have been accepted.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        super().__init__(f"{field} must be {allowed}, got {_shorten(value)}")


class ConfigError(InvalidInputError):
    """A field of `CompressConfig` is unknown or outside its range."""


class UnknownNameError(InvalidInputError):
    """Nothing goes by that name: `field` says what kind of thing was asked for."""


class TooLongError(InvalidInputError):
    """A text or prompt does not fit the context of the model that is to read it whole."""


class MessageFormatError(InvalidInputError):
    """A message list is not what its wire format says it should be."""


class DraftError(AgentCompressError):
    """The draft model can't be used."""


class DraftUnavailableError(DraftError):
    """The draft is not on this machine and can't be fetched now; the message names the ways out."""


class DraftCorruptError(DraftError):
    """Weights on disk or freshly fetched are damaged, incomplete, or not the ones expected."""


class DraftUnsupportedError(DraftError):
    """The draft loads, but its attention can't be captured."""


class SegmentationError(AgentCompressError):
    """A segmenter failed, or returned units that do not tile the text."""


class ScoringError(AgentCompressError):
    """A scorer failed, or returned something that is not one finite score per unit."""


class DeadlineError(AgentCompressError):
    """The caller's deadline passed, or it cancelled its call; what had not started was dropped."""


class StoreError(AgentCompressError):
    """Where decisions are kept can't be read or written now; what this process knows, it still knows."""


class EvaluationError(AgentCompressError):
    """A target failed while it was evaluated; what was measured before is kept."""


class PluginError(AgentCompressError):
    """An entry point or dotted path names something that can't be loaded."""


def describe_without_values(error: Exception) -> str:
    """An error's message without what the caller sent: logs and receipts hold no prompts."""
    return f"{error.field} must be {error.allowed}" if isinstance(error, InvalidInputError) else "see the debug log"


def describe_error(error: Exception, limit: int = 300) -> str:
    """An error's message for receipts and logs: as it is, but for what may hold a text of the caller's.

    That is the value of an `InvalidInputError`, and what others' errors say: of those the type alone.
    """
    if isinstance(error, InvalidInputError):
        return describe_without_values(error)
    if error.__cause__ is not None:
        return f"because of a {type(error.__cause__).__name__}"
    return str(error)[:limit] if isinstance(error, AgentCompressError) else "see the debug log"


def _shorten(value: object, limit: int = 80) -> str:
    shown = repr(value)
    return shown if len(shown) <= limit else f"{shown[: limit - 3]}..."
