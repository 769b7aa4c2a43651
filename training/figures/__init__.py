"""Pictures of what a generator has learned."""
