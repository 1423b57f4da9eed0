"""What is minimized and over what: deformation, elastic energy, similarity, their sum."""
