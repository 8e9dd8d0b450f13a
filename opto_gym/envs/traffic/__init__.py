"""Traffic signals on UXsim: the Trace paper's intersection, and a grid of many."""

from .grid import TrafficGrid
from .intersection import Traffic, TrafficPaper

__all__ = ["Traffic", "TrafficGrid", "TrafficPaper"]
