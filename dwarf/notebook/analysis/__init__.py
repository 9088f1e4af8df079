"""How is a run looked back on? Tables, differences, branches, reports, spans and metrics."""
