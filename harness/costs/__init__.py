"""What processes and interpreters cost by themselves, all but workers without a server around them.

Words of this package (harness has those of measuring):

way
    one way of making a process or a thread: fork, vfork, clone3 into a new namespace, ...
heap
    the memory, all of it written to, of the process that makes another.
worker
    a permanent process of one tenant, in a mode that keeps such.
launch
    one execution of an interpreter, from execve(2) to the end of a script of one line.
round
    one pass over everything, in a seeded random order; the unit of replication, as is a block.
subject
    what gets one number a round, and a row of costs.parquet.
"""
