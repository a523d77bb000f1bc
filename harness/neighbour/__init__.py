"""What one tenant's noise does to another: p99 and errors of a quiet tenant beside a noisy one.

quiet tenant
    The one that is measured, in open loop: its requests are sent whether or not they are answered.
noisy tenant
    The one that floods, computes, takes memory, forks, writes or holds connections.
noise
    What the noisy tenant does (`noises`), made by a process of its own (`noise_source`).
limits
    What the host allows a tenant (`limits`): those of its cgroup where the host delegates the
    controllers, and resource limits.
window
    A stretch of time of the quiet tenant's load, with one noise or none. One without is *alone*.
"""
