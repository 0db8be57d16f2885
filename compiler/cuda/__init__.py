"""From regions and library ops to CUDA C."""
