"""What a registration is judged by, per tissue."""
