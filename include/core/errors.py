"""Errors that a user may see. Each carries a rule id and an action, and prints as one line."""


class CapmigError(Exception):
    """A failure with a name: `source` (who), `rule` (which promise broke), `action` (what to do)."""

    exit_code = 1

    def __init__(self, message: str, *, source: str = "capmig", rule: str, action: str):
        self.message, self.source, self.rule, self.action = message, source, rule, action
        super().__init__(message)

    def __str__(self) -> str:
        line = f"{self.source}: {self.message} [{self.rule}] -> {self.action}"
        return " ".join(line.split())


class ConfigError(CapmigError):
    """Configuration is missing or wrong. The key is named, its value never is."""

    exit_code = 2


class ContractError(CapmigError):
    """Bytes do not keep the feed's contract (rule G1.*): the payload is rejected and kept."""


class TransientError(CapmigError):
    """The source may answer later: worth another try."""


class PermanentError(CapmigError):
    """The source refused or is misconfigured: another try changes nothing."""


class IntegrityError(CapmigError):
    """Stored bytes are not what they were when they were written."""


class GateRefused(CapmigError):
    """The gate refused to publish; the last good version stays in place."""


class PublishError(CapmigError):
    """A publish could not be completed; the last good version stays in place."""
