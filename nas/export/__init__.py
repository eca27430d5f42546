"""From a trained module to a folder that stands alone."""

FORMATS = ("python", "onnx", "program")
"""What a model can be exported as, besides its weights."""
