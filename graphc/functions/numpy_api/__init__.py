"""NumPy's functions on tensors, under NumPy's names and with NumPy's parameters; `protocol` finds
them for a call, each of the other files is one theme with a table at its end.

What the Array API has under the same name with the same meaning is not here: `protocol` takes it
from `graphc.functions`.
"""
