"""Models in ONNX files of other programs, with a description of how pictures go in and what comes out."""
