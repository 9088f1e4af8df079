"""Tables, rows, expressions, statements and scripts: the building blocks of operations and queries."""
