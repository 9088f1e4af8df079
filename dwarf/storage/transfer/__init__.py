"""Moving flows between databases, as lines of JSON."""
