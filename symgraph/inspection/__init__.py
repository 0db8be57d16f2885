"""Looking inside compiled functions: what was fused, what it costs, and every value on the way."""
