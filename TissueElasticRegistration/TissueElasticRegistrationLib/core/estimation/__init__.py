"""Which λ and μ suit this pair best, tissue by tissue."""
