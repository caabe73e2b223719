"""One block of a decoder: attention lets positions exchange what they know, the feed-forward layer thinks it over at each position.

    pre-norm (today's)             post-norm (the first Transformer's)
    s = x + attend(norm₁(x))       s = norm₁(x + attend(x))
    y = s + feed(norm₂(s))         y = norm₂(s + feed(s))

norm₁ is called attention_norm and norm₂ feed_forward_norm in the code; dropout, if there is any, acts on what a branch adds.

Backward walks the same lines from the last to the first. Where forward used a value twice, backward adds the two gradients: that is
all that happens at a residual connection. `attend` and `feed` are next door, in branches.py.

The gradients of weights are added to `grads`, which has the names of `params`; what backward returns is the gradient of x.
"""

from collections.abc import Mapping
from typing import Any

from ..arrays import Float
from ..ops import Ops
from .branches import AFTER_ATTENTION, AFTER_FEED_FORWARD, Branches, Context
from .config import Config


def block(config: Config, ops: Ops, number: int) -> "PreNormBlock | PostNormBlock":
    return (PreNormBlock if config.norm_position == "pre" else PostNormBlock)(config, ops, number)


class PreNormBlock(Branches):
    def forward(self, x: Float[Any, "b t d"], params: Mapping, context: Context) -> tuple[Float[Any, "b t d"], dict]:
        eps, cache = self.config.norm_eps, {}
        n, cache["attention_norm"] = self.norm.forward(x, *self.weights("attention_norm", params), eps=eps)
        a, attend_cache = self.attend(n, params, context)
        a, cache["attention_dropout"] = self.drop(a, AFTER_ATTENTION, context)
        (s, n), cache["feed_forward_norm"] = self.add_norm.forward(x, a, *self.weights("feed_forward_norm", params), eps=eps)
        f, feed_cache = self.feed(n, params)
        f, cache["feed_forward_dropout"] = self.drop(f, AFTER_FEED_FORWARD, context)
        return self.add(s, f), cache | attend_cache | feed_cache

    def backward(self, dy: Float[Any, "b t d"], cache: dict, grads: Mapping) -> Float[Any, "b t d"]:
        df = self.drop_backward(dy, cache["feed_forward_dropout"])
        dn = self.feed_backward(df, cache, grads)
        # s was read twice, by the residual connection (dy) and by norm₂ (dn); and it is x + a, so both get the whole: dx = da = ds
        dx, da, *dweights = self.add_norm.backward((dy, dn), cache["feed_forward_norm"])
        self.collect("feed_forward_norm", dweights, grads)
        da = self.drop_backward(da, cache["attention_dropout"])
        dn = self.attend_backward(da, cache, grads)
        through_norm, *dweights = self.norm.backward(dn, cache["attention_norm"])
        self.collect("attention_norm", dweights, grads)
        return self.add(dx, through_norm)


class PostNormBlock(Branches):
    def forward(self, x: Float[Any, "b t d"], params: Mapping, context: Context) -> tuple[Float[Any, "b t d"], dict]:
        eps, cache = self.config.norm_eps, {}
        a, attend_cache = self.attend(x, params, context)
        a, cache["attention_dropout"] = self.drop(a, AFTER_ATTENTION, context)
        s, cache["attention_norm"] = self.norm.forward(self.add(x, a), *self.weights("attention_norm", params), eps=eps)
        f, feed_cache = self.feed(s, params)
        f, cache["feed_forward_dropout"] = self.drop(f, AFTER_FEED_FORWARD, context)
        y, cache["feed_forward_norm"] = self.norm.forward(self.add(s, f), *self.weights("feed_forward_norm", params), eps=eps)
        return y, cache | attend_cache | feed_cache

    def backward(self, dy: Float[Any, "b t d"], cache: dict, grads: Mapping) -> Float[Any, "b t d"]:
        dsum, *dweights = self.norm.backward(dy, cache["feed_forward_norm"])
        self.collect("feed_forward_norm", dweights, grads)
        df = self.drop_backward(dsum, cache["feed_forward_dropout"])
        ds = self.add(dsum, self.feed_backward(df, cache, grads))
        dsum, *dweights = self.norm.backward(ds, cache["attention_norm"])
        self.collect("attention_norm", dweights, grads)
        da = self.drop_backward(dsum, cache["attention_dropout"])
        return self.add(dsum, self.attend_backward(da, cache, grads))
