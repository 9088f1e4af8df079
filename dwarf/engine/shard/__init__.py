"""Who runs the flows of one shard, and when? Its loops, its group commit, its leases, its reservations."""
