"""Stand-ins for the parts of the Slicer application that the pip package slicer-core has not; for tests only."""
