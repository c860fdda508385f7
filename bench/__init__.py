"""Throughput of the product on one machine: `python -m bench [part ...]`; see docs/benchmarks.md.

The product runs as `make run` starts it, the load comes from processes of its own, and all of it
shares this machine's processors.
"""
