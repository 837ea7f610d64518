"""Files by role: site.yaml or cloud.yaml, and the secrets that they refer to."""

from pathlib import Path

from pydantic import BaseModel

from codecsight.config.cloud_config import CloudConfig
from codecsight.config.errors import ConfigError
from codecsight.config.loader import validate_config
from codecsight.config.site_config import SiteConfig
from codecsight.config.yaml_reader import YamlFile

_MODELS: tuple[type[BaseModel], ...] = (SiteConfig, CloudConfig)


def load_any(path: Path) -> SiteConfig | CloudConfig:
    """Load a site.yaml or cloud.yaml; its top-level keys say which it is. Raises ConfigError."""
    file = YamlFile(path)
    site, cloud = (len(file.data.keys() & model.model_fields) for model in _MODELS)
    if site == cloud:
        site_keys, cloud_keys = (", ".join(model.model_fields) for model in _MODELS)
        raise ConfigError(
            f"{path}:1: neither a site.yaml (keys {site_keys}) nor a cloud.yaml (keys {cloud_keys})"
        )
    return validate_config(file, SiteConfig) if site > cloud else validate_config(file, CloudConfig)


def load_site(path: Path) -> SiteConfig:
    """Load a site.yaml and check its secrets. Raises ConfigError, also for a cloud.yaml."""
    config = load_any(path)
    if not isinstance(config, SiteConfig):
        raise ConfigError(f"{path}:1: this is a cloud.yaml; run it with `codecsight cloud`")
    check_readable(path, config)
    return config


def load_cloud(path: Path) -> CloudConfig:
    """Load a cloud.yaml and check its TLS files. Raises ConfigError, also for a site.yaml."""
    config = load_any(path)
    if not isinstance(config, CloudConfig):
        raise ConfigError(f"{path}:1: this is a site.yaml; run it with `codecsight site`")
    check_readable(path, config)
    return config


def check_readable(path: Path, config: SiteConfig | CloudConfig) -> None:
    """Check that every secret and TLS file that a configuration refers to can be read. Raises
    ConfigError that lists every problem as `FILE:LINE: KEY: what is wrong`.
    """
    try:
        config.read_secrets()
    except ConfigError as error:
        file = YamlFile(path)
        problems = (line.partition(": ") for line in str(error).splitlines())
        raise ConfigError(
            "\n".join(
                f"{path}:{file.line_of(key.split('.'))}: {key}: {problem}"
                for key, _, problem in problems
            )
        ) from error
