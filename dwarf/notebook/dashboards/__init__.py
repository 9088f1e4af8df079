"""How are many flows watched together? The dashboard and the inbox."""
