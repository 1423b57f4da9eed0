"""What a network is trained on: phantoms, random shapes, real volumes with simulated motion, published data sets."""
