"""Generated from proto/codecsight/v1 by proto/generate.sh; not to be edited."""
