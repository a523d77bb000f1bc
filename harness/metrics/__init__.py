"""What a server tells Prometheus: `isobench serve --metrics`, docs/observability.md.

A process of its own, `exporter`, reads what the server's processes have counted in shared memory
and the kernel's queues, and answers scrapes. It asks the server nothing.
"""
