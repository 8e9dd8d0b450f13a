"""Gymnasium wrappers that change what an optimizer sees."""

from .observations import FeedbackKinds, MaskGraph

__all__ = ["FeedbackKinds", "MaskGraph"]
