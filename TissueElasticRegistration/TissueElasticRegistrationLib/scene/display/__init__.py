"""How results are shown; nothing here changes a result."""
