"""Telemetry of the engine: which event becomes which metric, span and log line."""
