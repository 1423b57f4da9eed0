"""What ``make demo`` does, one step in each file; ``main_job`` puts them together. Development only (matplotlib)."""
