"""What training costs: FLOPs, bytes and time, claimed by formula, counted in the running program, and measured."""

from .activations import Held, held

__all__ = ["Held", "held"]
