"""The real control plane on this machine, and what the scenarios need around it.

Everything listens on 127.0.0.1 (with a node: on a bridge of its own), keeps its files under one folder (`state.State`) and is stopped by its own pid.
Only the standard library is used here, so that `e2e/up` works before `e2e/build` made the virtual environment.
"""
