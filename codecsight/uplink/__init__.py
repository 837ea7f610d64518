"""The stream protocol between a site and the cloud as plain code: no sockets in here."""
