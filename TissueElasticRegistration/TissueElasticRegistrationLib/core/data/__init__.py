"""What everything else is about: images, geometries, tissues, results."""
