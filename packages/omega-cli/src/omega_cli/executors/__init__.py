"""What does the jobs of a command beside its own process: processes of this machine, or a cluster."""
