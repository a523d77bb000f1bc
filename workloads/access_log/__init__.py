"""A web server's access log as a load: who was requested, when, and what stands for the page.

entry
    What is kept of a line while it is read: time, virtual host, method, path and status (`line`).
    Addresses, users, referers, user agents and query strings are dropped there.
rule
    Which workload stands for which paths (`mapping`).
trace
    What is kept of the log: for each request its time, the number of its tenant and of its
    workload (`trace`). No name, path or date is in it.
summary
    What was read, in numbers (`summary`).
"""
