"""How does a flow get from one database into another? As lines of JSON."""
