"""A gradient check: assignment 2, lesson 3, 8 points.

Every backward pass of this course is held against the slope of its own forward pass. Write the two halves of that check.

slopes(op, x, dy, step) measures. op is an operation: y, cache = op.forward(x), where y has the shape of x. With the upstream
gradient dy, the number to differentiate is

    f(x) = Σ dy · y           the sum over all numbers of y

and its slope along one number x_i, with every other number held still, is, but for an error in proportion to δ²,

    ∂f/∂x_i ≈ (f(x_i + δ) − f(x_i − δ)) / 2δ

slopes returns these for all numbers of x, as an array of x's shape. dy is drawn at random by whoever checks: with dy = (1, …, 1) the
gradient of a softmax is exactly zero, and a backward that returns nothing but zeros would pass.

relative_error(claimed, measured) compares, by the norm ‖a‖ = √(Σ a²) over all numbers of an array:

    error = ‖claimed − measured‖ / max(‖claimed‖, ‖measured‖)          and 0 if both are zero

The checks use large steps (0.1 to 0.3), so that another formula than this one is seen. What you are given must stay as it is.

What is checked, and for how many points (each check has 5 s and 512 MB):

    slopes          3   slopes measures the gradient of a function of each number alone
    coupled         1   slopes is right where every output depends on all numbers of its row
    put_back        1   every number is back in its place when the next one is moved
    relative_error  2   relative_error compares two gradients by their norms
    zeros           1   relative_error is right where a gradient is zero

    minillm exercises check gradient_check        minillm exercises hint gradient_check
"""

from typing import Any

import numpy as np
from jaxtyping import Float


def slopes(op: Any, x: Float[np.ndarray, "*shape"], dy: Float[np.ndarray, "*shape"],
           step: float = 1e-05) -> Float[np.ndarray, "*shape"]:
    """The gradient of Σ dy · op.forward(x)[0] with respect to x, measured by central differences: of x's shape."""
    raise NotImplementedError("gradient_check.slopes")


def relative_error(claimed: Float[np.ndarray, "*shape"], measured: Float[np.ndarray, "*shape"]) -> float:
    """‖claimed − measured‖ over the larger of the two norms; 0 if both are zero."""
    raise NotImplementedError("gradient_check.relative_error")
