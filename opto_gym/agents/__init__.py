"""Optimizers, one file each."""

from .base import Agent, Oracle, Values

__all__ = ["Agent", "Oracle", "Values"]
