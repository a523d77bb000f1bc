#!@interpreter@
"""Work for as long as the query says, then show a page of about 20 KiB; its length is the same.

The work is fixed, `ROUNDS` rounds a millisecond, and does not end by a clock: a host or a mode that
makes a script itself slower is to be seen in its time.
"""

import os

TENANT = "@tenant@"
ROUNDS = int("@rounds@")

CELLS = "<td>{0:05d}</td>" * 8
LINES = ("<p>" + "a page " * 18 + "</p>\n") * 152


def work(rounds: int) -> None:
    """Do so many rounds: each fills in a table's row and takes it to pieces, as templates do."""
    for number in range(rounds):
        row = CELLS.format(number % 1000).replace("td", "th")
        dict.fromkeys(row.split("</"), number)


microseconds = int(os.environ["QUERY_STRING"].removeprefix("us=") or 0)
work(ROUNDS * microseconds // 1000)

groups = ",".join(map(str, sorted(os.getgroups())))
proof = f"isobench tenant={TENANT} uid={os.geteuid()} gid={os.getegid()} groups={groups}"
print(f"Content-Type: text/html; charset=utf-8\n\n{proof}")
print(f"<!DOCTYPE html>\n<title>{microseconds} us of {TENANT}</title>\n{LINES}</html>")
