"""Training and evaluation data and scripts. Imports the core; nothing at run time imports this package."""
