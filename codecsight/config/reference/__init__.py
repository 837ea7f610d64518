"""Reference of site.yaml and cloud.yaml, generated from their pydantic models.

`python -m codecsight.config.reference` prints docs/configuration.md.
"""

from codecsight.config.reference.example_file import example_file
from codecsight.config.reference.page import configuration_page
from codecsight.config.reference.schema import Key, Section, section_of

__all__ = ["Key", "Section", "configuration_page", "example_file", "section_of"]
