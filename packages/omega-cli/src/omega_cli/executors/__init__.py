"""Executors that do the jobs of a command outside its own process: local processes, or a cluster."""
