#!@interpreter@
"""Count this visit in the site's database, and show the newest articles."""

import os
import sqlite3
from contextlib import closing

TENANT = "@tenant@"

# CGI programs are started in their own directory.
with closing(sqlite3.connect("data/app.db", timeout=10)) as database:
    with database:
        # The write comes first: a transaction that begins by reading must give up, not wait, when
        # another one writes in between.
        database.execute("UPDATE pages SET visits = visits + 1 WHERE path = '/'")
        (visits,) = database.execute("SELECT visits FROM pages WHERE path = '/'").fetchone()
    articles = database.execute("SELECT title FROM articles ORDER BY id DESC LIMIT 3").fetchall()

groups = ",".join(map(str, sorted(os.getgroups())))
proof = f"isobench tenant={TENANT} uid={os.geteuid()} gid={os.getegid()} groups={groups}"
print(f"Content-Type: text/plain\n\n{proof}\nvisit {visits}")
for (title,) in articles:
    print("article", title)
