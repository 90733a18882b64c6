"""What is derived of the log, and may be made anew: the snapshot, the listings, the upstream's names."""
