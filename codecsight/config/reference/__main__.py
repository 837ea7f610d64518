"""Print docs/configuration.md."""

import sys

from codecsight.config.reference import configuration_page

if __name__ == "__main__":
    sys.stdout.write(configuration_page())
