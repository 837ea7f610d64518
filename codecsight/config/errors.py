"""The error of an invalid configuration."""

from collections.abc import Callable, Iterable

from codecsight.core.errors import CodecSightError


class ConfigError(CodecSightError):
    """An invalid configuration file; the message has one line for each problem."""


def raise_all(checks: Iterable[Callable[[], object]]) -> None:
    """Run every check, then raise one ConfigError with the messages of all that raised one."""
    problems = []
    for check in checks:
        try:
            check()
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
