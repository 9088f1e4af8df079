"""What becomes of states and results between a script and a row: cut, coded, kept once, put together again."""
