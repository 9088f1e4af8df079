"""Durable storage: the only package that knows SQL."""
