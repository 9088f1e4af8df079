"""What does the engine report of its work? Which event becomes which metric, span and log line."""
