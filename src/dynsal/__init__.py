"""Deep models of dynamic saliency: data, nets, metrics and the protocol around them."""

__version__ = "0.1.0"
