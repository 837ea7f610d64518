"""Upload of finished segments from the spool to the store."""
