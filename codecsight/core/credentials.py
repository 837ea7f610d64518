"""Credentials that travel from a configuration to whatever uses them."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class S3Keys:
    """Access key and secret key of a bucket; both are left out of `repr`."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
