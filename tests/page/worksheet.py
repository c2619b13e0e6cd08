"""Computes a trace's step from what it was given, by its formulas: written apart from the page's own code."""

import math

from formula import FUNCTIONS, divide

OPERATORS = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": divide, "^": lambda a, b: a**b,
    "neg": lambda a: -a, ">": lambda a, b: float(a > b), "<": lambda a, b: float(a < b), "=": lambda a, b: float(a == b),
    "≥": lambda a, b: float(a >= b), "≤": lambda a, b: float(a <= b),
}
NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Step:
    """`compute(changes)`: the numbers of every value, with changes {(value, flat): x} made to what was given."""

    def __init__(self, trace):
        self.values, self.assignments = trace["values"], trace["assignments"]

    def given(self):
        return [i for i, v in enumerate(self.values) if v["from"] is None]

    def loss(self, data):
        last = [a for a in self.assignments if a["phase"] == "loss"][-1]
        return data[last["value"]][0]

    def compute(self, changes=None):
        data = [[NUMBERS.get(x, x) for x in v["data"]] for v in self.values]
        for (value, flat), x in (changes or {}).items():
            for other in self.given():  # one tensor may be read more than once: η of each update
                if self.values[other]["name"] == self.values[value]["name"] and self.values[other]["data"] == self.values[value]["data"]:
                    data[other][flat] = x
        for a in self.assignments:
            symbols = {s: (self._columns(v), data[v]) for s, v in a["inputs"].items()}
            index, wide = a["element"]["index"], self._columns(a["value"])
            for flat in range(len(data[a["value"]])):
                at = dict(zip(index, divmod(flat, wide) if len(index) == 2 else [flat], strict=False))
                data[a["value"]][flat] = self._value(a["element"]["expression"], symbols, at, flat)
        return data

    def _columns(self, value):
        return self.values[value]["shape"][-1] if self.values[value]["shape"] else 1

    def _size(self, e, index, symbols):
        """How far an index runs in a formula."""
        if isinstance(e, dict):
            if index in e.get("index", []):
                wide, numbers = symbols[e["symbol"]]
                return len(numbers) if len(e["index"]) == 1 else wide if e["index"][1] == index else len(numbers) // wide
            for part in e.get("of", []):
                if size := self._size(part, index, symbols):
                    return size
        return 0

    def _value(self, e, symbols, at, flat):
        if not isinstance(e, dict):
            return NUMBERS.get(e, e)
        if "symbol" in e:
            if not e["index"] and e["symbol"] in at:
                return at[e["symbol"]]
            wide, numbers = symbols[e["symbol"]]
            places = [at[i] for i in e["index"]]
            if len(places) == 2:
                return numbers[places[0] * wide + places[1]]
            return numbers[places[0] if places else flat if len(numbers) > 1 else 0]
        if "reduce" in e:
            terms = [self._value(e["of"][0], symbols, {**at, e["over"]: i}, flat) for i in range(self._size(e["of"][0], e["over"], symbols))]
            return math.fsum(terms) if e["reduce"] == "sum" and all(map(math.isfinite, terms)) else sum(terms) if e["reduce"] == "sum" else max(terms)
        if e["call"] == "if":
            return self._value(e["of"][1 if self._value(e["of"][0], symbols, at, flat) else 2], symbols, at, flat)
        return (OPERATORS.get(e["call"]) or FUNCTIONS[e["call"]])(*(self._value(part, symbols, at, flat) for part in e["of"]))
