"""Evaluation of generators: metrics, feature networks, editing directions, linear probe."""
