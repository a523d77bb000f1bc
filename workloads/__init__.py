"""What is requested of the targets: tenants, their scripts, and the load.

tenant
    A numeric uid and gid with a site directory of its own. It needs no entry in /etc/passwd.
site
    A tenant's directory: its scripts, a secret and a small database. Created by `tenants`.
script
    A tenant's program in its site. A plain CGI program (RFC 3875): it reads the environment and
    stdin, and prints headers and a body. The templates are in `sites/`.
identity
    An effective uid, an effective gid and supplementary groups.
proof
    The first line of every script's body: whose script ran, and with which identity (`proof`).
workload
    A script and the requests for it, with the check of each response (`catalog`).
load
    How requests arrive, and over which connections (`load`). Closed: a fixed number of users,
    each of which sends its next request when it has the response. Open: at times drawn beforehand,
    whether others were answered or not (`schedule`, `alarm`). Connections are closed after each
    request or kept alive.
popularity
    How often each tenant is requested: all equally often, or by Zipf's law (`popularity`).
user
    A client in a loop, driven by Locust (`users`), over one of the `clients`.
credential
    What a connection's first packet carries to prove whose it is, for servers that use the
    client's identity (`credential`, `clients.stamped_client`).
trial
    One measured window of load on one target. `trials` puts it under load, `recorder` keeps every
    completion and latency, `generator` is the process in which that happens.

`locustfile` is for exploring by hand, with Locust's own web page. `workloads` never imports
`servers`: they meet on disk (sites and their owners) and over HTTP.
"""
