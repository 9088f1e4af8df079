"""How does it look? Graphs, runs and times drawn as SVG, in one set of words, colours and icons."""
