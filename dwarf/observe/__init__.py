"""Telemetry with OpenTelemetry's API alone; the SDK is the user's choice, and without one nothing is recorded."""
