"""The simplification rules: each module is one literal table from op names to rules.

A rule takes a node whose inputs are final and returns what to put in its place, or None. Its
docstring is the rule. Rules keep dtype, NaN, the infinities and the sign of zero; a comment says
why where that is not plain. Bits change only in `stable` (to better values), in `x ** 3`, and in
sums that are merged.
"""
