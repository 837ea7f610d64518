"""Credentials, passed from a configuration to the code that uses them."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class S3Keys:
    """Access key and secret key of a bucket. `repr` shows neither."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
