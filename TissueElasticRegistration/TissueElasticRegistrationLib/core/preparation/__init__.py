"""From the images of a pair to the tensors of every resolution: all that no parameter changes."""
