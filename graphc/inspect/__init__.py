"""What the compiler did, as data and as one page of HTML that shows it.

`record` gathers everything that is known of a lowered step as plain data, `page` packs it with the
files in `page/` into a page. Both read graphs, programs and plans, and change nothing.
"""
