"""What a network is trained on: phantoms, random shapes, real volumes with made motion, and published data sets."""
