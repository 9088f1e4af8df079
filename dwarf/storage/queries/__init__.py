"""How is it looked up? One flow, its history, lists, searches and counts."""
