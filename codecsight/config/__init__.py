"""Configuration: one YAML file per role (site, cloud), validated before anything starts."""

from codecsight.config.cloud_config import CloudConfig
from codecsight.config.errors import ConfigError
from codecsight.config.loader import load_config
from codecsight.config.role import check_readable, load_any, load_cloud, load_site
from codecsight.config.site_config import CameraConfig, SiteConfig

__all__ = [
    "CameraConfig",
    "CloudConfig",
    "ConfigError",
    "SiteConfig",
    "check_readable",
    "load_any",
    "load_cloud",
    "load_config",
    "load_site",
]
