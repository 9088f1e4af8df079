"""What does a graph look like as text? Mermaid, DOT and networkx."""
