"""The isolation modes, as minimal Python web servers: the independent variable of every experiment.

A *mode* decides in which process or thread, and with whose Unix credentials, a tenant's script
runs. Each lives in one file of `servers.modes` as one class `Mode`; everything else in this
package is shared by all of them, so that the mode is the only thing that differs:

========================  ==========================================================================
`mode`                    the one abstraction, `IsolationMode`
`http`                    requests in, responses out; no sockets
`sites`                   which tenant and which script a request names
`script`                  the CGI environment, a script's output, the embedded interpreter
`program`                 a script as a program of its own: spawn, feed, read, reap
`worker`                  accept, parse, mode.handle, send, mode.cleanup
`pool`                    the prefork master: spawn, watch, reap, stop
`scoreboard`              what workers tell the master through shared memory
`credentials`, `linux`    changes of identity, and the system calls under them
`containment`             the namespaces that a server lives and dies in
========================  ==========================================================================

Words: a *worker* is a process that serves requests; the *pool* is the prefork set of them, kept by
the *master*. A *tenant* is a numeric uid and gid with a *site*, a directory of scripts. *www* is
the server's own identity.

Only the standard library and httptools are imported here, and of the former not `dataclasses`
(which brings `inspect`), `tempfile` or `subprocess`: what a server has loaded is what each fork
has to copy. Facts are named tuples for that reason.
"""
