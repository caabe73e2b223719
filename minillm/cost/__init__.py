"""What training costs: FLOPs, bytes and time, claimed by formula, counted in the running program, and measured."""

from . import flops
from .activations import Held, held
from .counting import Count, counting
from .timing import Times, timing

__all__ = ["Count", "Held", "Times", "counting", "flops", "held", "timing"]
