"""What can be queued: thin, one file per job. The rules are in `confirmation/`."""
