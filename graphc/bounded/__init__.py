"""Steps for every size of a batch up to a largest one: one graph, one plan, one C function.

The function is traced at a few sizes. What differs between the graphs depends on the size, and has
to do so in one of the ways that are known here (`family.py`). The step itself is the graph of the
largest size with one more input, the size. A batch that is smaller fills the first rows of its
arrays; what stands in the others reaches no row that counts: wherever rows are put together, in a
sum or a product, those beyond the size are replaced by what changes nothing (`masked.py`).
"""
