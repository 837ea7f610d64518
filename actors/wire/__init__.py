"""Generated from proto/codecsight/v1 by proto/generate.sh; do not edit."""
