"""Gymnasium wrappers that change what an optimizer sees."""

from .observations import FeedbackKinds, MaskedGraph

__all__ = ["FeedbackKinds", "MaskedGraph"]
