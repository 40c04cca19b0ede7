"""With what the processes work: settings, Celery's configuration, logs."""
