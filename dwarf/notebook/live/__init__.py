"""How is a run watched while it runs? One widget: what it is sent, and what it may ask."""
