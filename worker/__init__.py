"""How: the concrete parts and the processes. `app.py` is Celery's, `bootstrap.py` builds the parts."""
