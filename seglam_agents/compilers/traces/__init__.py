"""The trace compiler: from several successful runs of the same kind to readable Python, without any model.

`wording` finds what varies between requests; `terms` are the expressions that could explain a value; `origins` finds
those that all traces agree on; `conditions` tells why traces went different ways; `classes` holds a body to the kinds
of tool results that were seen; `alignment` puts the calls of all traces into one plan; `source` writes it as Python;
`phrases` lets a plan answer further wordings; `compiler` is the way through all of them.
"""
