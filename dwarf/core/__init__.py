"""What happens next? Pure decisions: no I/O, no clock, no randomness."""
