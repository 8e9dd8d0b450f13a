"""Gymnasium wrappers that change what an optimizer sees."""

from .channels import DelayedFeedback, NoisyFeedback
from .observations import FeedbackKinds, MaskGraph, ScalarOnly

__all__ = ["DelayedFeedback", "FeedbackKinds", "MaskGraph", "NoisyFeedback", "ScalarOnly"]
