"""The one settings model of the service, in parts. It starts nothing, and reads no file but of settings."""
