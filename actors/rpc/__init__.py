"""gRPC on both ends: services, clients, conversion between messages and dataclasses, TLS."""
