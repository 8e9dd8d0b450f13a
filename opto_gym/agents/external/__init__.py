"""Optimizers in processes of their own: the authors' packages, and programs in any language."""
