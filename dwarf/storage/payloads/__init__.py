"""Payloads between scripts and rows: large values are cut out, texts encoded, equal values stored once."""
