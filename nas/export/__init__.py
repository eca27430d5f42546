"""From a trained module to a folder that stands alone.

folder          the exported folder: written, verified, moved into place
python_source   a module printed as PyTorch source
onnx            ONNX
program         a program of torch.export
card            the model card
"""

ONNX_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
"""What writing, reading and running ONNX needs."""

FORMATS = ("python", "onnx", "program")
"""What a model can be exported as, besides its weights."""
