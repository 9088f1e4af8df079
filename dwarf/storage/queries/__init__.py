"""Reads of the API: one flow, its history, lists, searches and counts."""
