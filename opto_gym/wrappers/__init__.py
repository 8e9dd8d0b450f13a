"""Gymnasium wrappers that change the observations of an optimizer."""

from .channels import DelayedFeedback, NoisyFeedback
from .observations import FeedbackKinds, MaskGraph, ScalarOnly

__all__ = ["DelayedFeedback", "FeedbackKinds", "MaskGraph", "NoisyFeedback", "ScalarOnly"]
