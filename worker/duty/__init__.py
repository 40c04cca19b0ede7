"""For people on duty: the command line, the audit, a receipt's story."""
