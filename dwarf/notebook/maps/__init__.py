"""How does a whole table go through a workflow?"""
