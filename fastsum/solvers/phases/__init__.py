"""Phases of `solver="auto"`: maps from a certified point to a better one."""
