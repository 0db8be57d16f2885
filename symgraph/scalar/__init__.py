"""Scalar mathematics, written once against `ScalarBuilder` and rendered for every target."""
