"""Models for onnxruntime: files that `export_onnx` writes from a model, and coding with them, without torch."""
