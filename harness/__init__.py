"""Runs the experiment: starts targets, loads them, and records the results.

Terms of this package (docs/design.md describes its rooms):

target
    what is measured: a mode, implemented here, or a peer, a real server product.
load
    how requests arrive: closed (a number of users who each wait for their response) or open (a
    number of arrivals per second), and whether a connection carries one request or many.
trial
    one measured window of one target under one workload and one load.
attempt
    a trial that other work disturbed is repeated once; one of the two attempts counts.
block
    one pass over all targets, in a seeded random order; the unit of replication.
run
    one invocation of a command: its blocks, and the results folder that it writes.
"""
