"""Compiled kernels and their registries."""
