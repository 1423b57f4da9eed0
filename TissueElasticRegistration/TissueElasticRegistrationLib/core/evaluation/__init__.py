"""What a registration did, in numbers."""
