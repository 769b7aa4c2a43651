"""A package, so that all its tests share one browser: the scope ``package`` of a fixture."""
