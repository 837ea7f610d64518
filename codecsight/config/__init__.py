"""Configuration: one YAML file per role (site, cloud), validated before anything starts."""

from codecsight.config.cloud_config import CloudConfig
from codecsight.config.errors import ConfigError
from codecsight.config.loader import load_config
from codecsight.config.role import load_any
from codecsight.config.site_config import CameraConfig, SiteConfig

__all__ = ["CameraConfig", "CloudConfig", "ConfigError", "SiteConfig", "load_any", "load_config"]
