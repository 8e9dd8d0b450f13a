"""Optimizers that run in a process of their own: the authors' packages, and programs in any language."""
