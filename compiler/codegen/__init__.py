"""Renderers that turn scalar code into LLVM instructions and readable listings."""
