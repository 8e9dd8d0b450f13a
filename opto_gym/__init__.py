"""opto_gym: benchmarking optimizers that learn from execution traces."""

__version__ = "0.1.0"
