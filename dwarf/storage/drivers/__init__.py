"""How is a database reached? A driver runs scripts: on one writer thread, on a server's connections, in memory."""
