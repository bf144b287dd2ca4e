"""ASAGA with one thread is SAGA: Leblond, Pedregosa, Lacoste-Julien (2017), Algorithm 2."""

from reference.saga import iterates

__all__ = ["iterates"]
