"""The services of one shard in this process: loops, group commit, leases and slot reservations."""
