"""The border to 3D Slicer: MRML nodes in, plain arrays for the core out, and the other way round.

Needs slicer, vtk and numpy, but neither Qt nor a running application: nodes are arguments, scenes come from the nodes.
Everything here belongs into the main thread. Public are `read`, `write`, `grid_transform` and `nodes`.
"""
