"""The writes of each event: a commit, a claim, a cancellation, a fork, a new flow."""
