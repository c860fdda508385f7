"""Throughput of the product on one machine: `python -m bench [part ...]`; see docs/benchmarks.md.

The product runs as with `make run`; the load generator runs in separate processes on the same
processors.
"""
