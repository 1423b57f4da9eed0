"""Results as nodes of the scene."""
