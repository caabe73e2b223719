"""Arrays that refuse mixed precisions: minillm's counting arrays with another thing to watch for."""

import numpy as np

from minillm.cost.watching import Watched, is_float


class Strict(Watched):
    """Refuses float arrays of different precisions in one operation, and results wider than what went in."""

    def seen(self, name, method, inputs, made):
        floats = [x.dtype for x in inputs if is_float(x)]
        dtypes = {str(dtype) for dtype in floats} | {str(x.dtype) for x in made if floats and is_float(x)}
        assert len(dtypes) <= 1, f"{name} mixes {' and '.join(sorted(dtypes))}"


def everywhere(change, x):
    """The same structure of tuples, with `change` done to every array in it."""
    if isinstance(x, np.ndarray):
        return change(x)
    if isinstance(x, tuple):
        parts = [everywhere(change, each) for each in x]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    return x
