"""ASGI middleware: request context, access log, load shedding, limits, CORS, compression."""
