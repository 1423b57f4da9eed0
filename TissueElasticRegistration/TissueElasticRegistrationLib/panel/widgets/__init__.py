"""Small widgets and texts that several sections use."""
