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
`profiling`         time stamps and their places, and a slowdown: loaded in such servers only
`controls`          server code that leaves out one protection, on which attacks must succeed
`typed`             the little that is needed of `typing`
`remembered`        caches whose size has a bound in bytes
`null_responder`    answers and does nothing else: the load generator's ceiling
`errors`            the exception that crosses rooms
==================  ================================================================================

Words: a *worker* is a process that serves requests; the *pool* is the prefork set of them, kept by
the *master*. A *tenant* is a numeric uid and gid with a *site*, a directory of scripts. *www* is
the server's own identity.

Only the standard library and httptools are imported here. What a running server has loaded is what
each fork has to copy, so the modules from `server_main` down do without most of the former: no
`enum`, `re`, `pathlib`, `contextlib`, `functools`, `collections`, `typing`, and of `signal` and
`socket` only what these are made of. A test says what must not be loaded.
"""
