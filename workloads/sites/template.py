#!@interpreter@
"""Render a shop's catalogue, a page of about 20 KiB; its length is the same each time."""

import os
from string import Template

TENANT = "@tenant@"
ARTICLES = 165

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>The shop of $owner</title></head>
<body>
<h1>Welcome to the shop of $owner</h1>
<table>
<tr><th>Number</th><th>Article</th><th>In stock</th><th>Price</th></tr>
$rows</table>
</body>
</html>
""")

ROW = Template(
    '<tr class="$shade"><td>$number</td><td><a href="/article/$number">Article no. $number</a></td>'
    "<td>$stock</td><td>$price EUR</td></tr>\n"
)


def row(index: int) -> str:
    """Render one article's row; each field has a fixed width."""
    return ROW.substitute(
        shade="even" if index % 2 else "pale",
        number=f"{index:05d}",
        stock=f"{index * 37 % 1000:03d}",
        price=f"{index * 7919 % 100_000 / 100:06.2f}",
    )


page = PAGE.substitute(owner=TENANT, rows="".join(map(row, range(ARTICLES))))

groups = ",".join(map(str, sorted(os.getgroups())))
proof = f"isobench tenant={TENANT} uid={os.geteuid()} gid={os.getegid()} groups={groups}"
print(f"Content-Type: text/html; charset=utf-8\n\n{proof}\n{page}", end="")
