"""Data sets: a simulator whose truth is known, and loaders for two real panels."""

from riskml.datasets.eph import load_eph
from riskml.datasets.malawi import load_malawi
from riskml.datasets.simulate import make_monitoring

__all__ = ["load_eph", "load_malawi", "make_monitoring"]
