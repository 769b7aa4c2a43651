"""From a trained generator to a version that is served."""
