"""The isolation modes, as minimal Python web servers: the independent variable of every experiment.

A *mode* decides in which process or thread, and with whose Unix credentials, a tenant's script
runs. Each lives in `servers.modes`, in one file or one package, as one class `Mode`; everything
else in this package is shared by all of them, so that the mode is the only thing that differs:

==================  ================================================================================
`mode`              the one abstraction, `IsolationMode`
`modes`             the modes; one that has processes or guards of its own is a package
`http`              requests in, responses out; no sockets
`sites`             which tenant and which script a request names
`interpreter`       how a script runs: as a CGI program, in the embedded interpreter, in a child
`front`             the prefork pool: how workers are made, contained, watched and relayed
`kernel`            system calls, identities, namespaces, filters of system calls, keyrings, ends
`launch`            what `python -m servers` tells the server that it executes, `server_main`
`host_checks`       what a mode needs of the host
`profiling`         timestamps, probe points, and a slowdown: loaded only in servers that use them
`controls`          server code that leaves out one protection, on which attacks must succeed
`typed`             the few parts of `typing` that are needed
`remembered`        caches whose size has a bound in bytes
`null_responder`    only answers: measures the load generator's ceiling
`errors`            the exception that crosses rooms
==================  ================================================================================

Terms: a *worker* is a process that serves requests; the *pool* is the prefork set of workers, kept
by the *master*. A *tenant* is a numeric uid and gid with a *site*, a directory of scripts. *www* is
the server's own identity.

This package imports only the standard library and httptools. Every fork copies what a running
server has loaded, so the modules from `server_main` down avoid most of the standard library: no
`enum`, `re`, `pathlib`, `contextlib`, `functools`, `collections`, `typing`, and of `signal` and
`socket` only the C modules beneath them. A test lists what must not be loaded.
"""
