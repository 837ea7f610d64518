"""Which kind of configuration a file is: site.yaml or cloud.yaml."""

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
    counts = {model: len(file.data.keys() & model.model_fields) for model in _MODELS}
    if counts[SiteConfig] == counts[CloudConfig]:
        site, cloud = (", ".join(model.model_fields) for model in _MODELS)
        raise ConfigError(
            f"{path}:1: neither a site.yaml (keys {site}) nor a cloud.yaml (keys {cloud})"
        )
    if counts[SiteConfig] > counts[CloudConfig]:
        return validate_config(file, SiteConfig)
    return validate_config(file, CloudConfig)
