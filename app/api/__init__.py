"""The HTTP API: one module per resource, request and response schemas, errors, OpenAPI."""
