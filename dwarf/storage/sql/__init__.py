"""What is a table, a row, a statement, a script? The words in which operations and queries are written."""
