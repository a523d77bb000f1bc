"""The isolation modes, as minimal Python web servers: the independent variable of every experiment.

A *mode* decides in which process or thread, and with whose Unix credentials, a tenant's script
runs. Each lives in one file of `servers.modes` as one class `Mode`; everything else in this
package is shared by all of them, so that the mode is the only thing that differs:

========================  ==========================================================================
`mode`                    the one abstraction, `IsolationMode`
`http`                    requests in, responses out; no sockets
`sites`                   which tenant and which script a request names
`script`                  the CGI environment, a script's output, the embedded interpreter
`stage`                   what a script finds around it in there, and how its code is opened and run
`kept_code`               the same for a worker of one request: code is kept in files
`forked`, `child`         a script in a child that is forked for it: the parent's part, the child's
`rehearsal`               a script of the server's own, to warm a process up that will be forked
`early_copies`            pages that a fork copies at once
`zygote`                  a lean process that is forked in the server's place
`program`                 a script as a program of its own: spawn, feed, read, reap
`orders`, `master`        what `python -m servers` executes: what it is told, and what it does
`worker`                  accept, parse, mode.handle, send, mode.cleanup
`pool`                    the prefork master: spawn, watch, reap, stop
`respawn`                 how a worker comes to be: forked, or executed
`scoreboard`              what workers tell the master through shared memory
`all_ids`                 the change of identity that has no way back
`credentials`, `linux`    changes of identity, and the system calls under them
`client_credential`       who a client is, as its first packet proves
`user_namespace`          a user namespace of chosen ids
`seccomp`                 filters of system calls
`supervisor`              a process that lets a worker's signed calls pass, and no others
`private_root`            the root directory that a sandboxed script finds
`allowed_calls`           the system calls that it may make
`starter`, `leases`       a process that starts tenants' workers, and its table of who has which
`tenant_worker`           a tenant's worker: what it is told, and what it answers
`restraint`               what is taken from a process that has to stay root
`content_thread`          one call in a thread of its own
`thread_identity`         the identity of one thread, which is not its process's
`language_guard`          an audit hook that confines scripts
`typed`, `remembered`     the little that is needed of `typing` and `functools`
`containment`             the namespaces that a server lives and dies in
========================  ==========================================================================

Words: a *worker* is a process that serves requests; the *pool* is the prefork set of them, kept by
the *master*. A *tenant* is a numeric uid and gid with a *site*, a directory of scripts. *www* is
the server's own identity.

Only the standard library and httptools are imported here. What a running server has loaded is what
each fork has to copy, so the modules from `master` down do without most of the former: no `enum`,
`re`, `pathlib`, `contextlib`, `functools`, `collections`, `typing`, and of `signal` and `socket`
only what these are made of. A test says what must not be loaded.
"""
