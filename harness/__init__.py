"""Runs the experiment: starts targets, puts load on them, writes down what happened.

Words of this package (DESIGN gives the rest):

target
    whatever load is put on: a mode, implemented here, or a peer, a real server product.
load
    how requests arrive: closed (so many users, each waits for its answer) or open (so many
    arrivals a second), and whether a connection carries one request or many.
trial
    one measured window of one target under one workload and one load.
attempt
    a trial that something else disturbed is made again, once; one of the two attempts counts.
block
    one pass over all targets, in a seeded random order; the unit of replication.
run
    one whole invocation: its blocks, and the results folder that they are written to.
"""
