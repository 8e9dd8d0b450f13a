"""Traffic signals in the simulator UXsim: the Trace paper's intersection, and a grid of intersections."""

from .grid import TrafficGrid
from .intersection import Traffic, TrafficPaper

__all__ = ["Traffic", "TrafficGrid", "TrafficPaper"]
