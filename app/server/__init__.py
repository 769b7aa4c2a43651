"""uvicorn's protocol with limits, workers, shutdown, watchdog."""
