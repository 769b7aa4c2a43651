"""uvicorn with connection limits, graceful shutdown, worker processes and a watchdog."""
