"""Evaluates the formulas that a page shows, from their text alone: written apart from the page's own code."""

import math
import re

TOKEN = re.compile(r"\s*(\d+\.?\d*(?:e[−-]?\d+)?|NaN|∞|more:|[A-Za-zσ]\w*|[-+−·*/^²³()\[\],><=≥≤])")


def tokens(text):
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise ValueError(f"{text!r} at {at}")
        found.append(match[1])
        at = match.end()
    return found


def divide(a, b):
    return a / b if b else math.nan if not a or a != a else math.copysign(math.inf, a)


def guarded(f, otherwise):
    def g(x):
        try:
            return f(x)
        except (ValueError, OverflowError):
            return otherwise(x)
    return g


FUNCTIONS = {
    "exp": guarded(math.exp, lambda x: math.inf), "log": guarded(math.log, lambda x: -math.inf if x == 0 else math.nan),
    "log1p": guarded(math.log1p, lambda x: math.nan), "tanh": math.tanh, "sin": guarded(math.sin, lambda x: math.nan),
    "cos": guarded(math.cos, lambda x: math.nan), "sqrt": guarded(math.sqrt, lambda x: math.nan), "erf": math.erf,
    "abs": abs, "sign": lambda x: (x > 0) - (x < 0), "σ": lambda x: 1 / (1 + math.exp(-x)) if x > -700 else 0.0,
    "max": max, "min": min, "if": lambda c, a, b: a if c else b,
}
RELATIONS = {">": float.__gt__, "<": float.__lt__, "=": float.__eq__, "≥": float.__ge__, "≤": float.__le__}


class Formula:
    """`numbers` are those in it, in order; `value(numbers)` is what it is worth with these in their places."""

    def __init__(self, text):
        self.tokens, self.at, self.numbers = tokens(text), 0, []
        self._tree = self._sum()
        if self.at != len(self.tokens):
            raise ValueError(f"{text!r}: {self.tokens[self.at]!r} left over")

    def value(self, numbers=None):
        return self._tree(numbers or self.numbers)

    def _next(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def _take(self, *wanted):
        if self._next() in wanted:
            self.at += 1
            return self.tokens[self.at - 1]
        return None

    def _expect(self, token):
        if not self._take(token):
            raise ValueError(f"{token!r} expected, {self._next()!r} came, in {' '.join(self.tokens)}")

    def _sum(self):
        left = self._product()
        while sign := self._take("+", "-", "−"):
            left = (lambda a, b, s: lambda n: a(n) + s * b(n))(left, self._product(), 1 if sign == "+" else -1)
        return left

    def _product(self):
        left = self._signed()
        while sign := self._take("·", "*", "/"):
            right = self._signed()
            left = (lambda a, b, f: lambda n: f(a(n), b(n)))(left, right, divide if sign == "/" else lambda a, b: a * b)
        return left

    def _signed(self):
        if self._take("-", "−"):
            inner = self._signed()
            return lambda n: -inner(n)
        base = self._primary()
        if power := self._take("²", "³"):
            return lambda n: base(n) ** (2 if power == "²" else 3)
        if self._take("^"):
            exponent = self._signed()
            return lambda n: base(n) ** exponent(n)
        return base

    def _comparison(self):
        left = self._sum()
        relation = RELATIONS[self._take(*RELATIONS)]
        right = self._sum()
        return lambda n: float(relation(float(left(n)), float(right(n))))

    def _primary(self):
        if self._take("("):
            if self.at + 1 < len(self.tokens) and self.tokens[self.at + 1] == "more:":
                self.at += 2
            inner = self._sum()
            self._expect(")")
            return inner
        if self._take("["):
            inner = self._comparison()
            self._expect("]")
            return inner
        token = self._next()
        self.at += 1
        if token in FUNCTIONS:
            self._expect("(")
            arguments = [self._comparison() if token == "if" else self._sum()]
            while self._take(","):
                arguments.append(self._sum())
            self._expect(")")
            return lambda n: FUNCTIONS[token](*(a(n) for a in arguments))
        value = math.nan if token == "NaN" else math.inf if token == "∞" else float(token.replace("−", "-"))
        place = len(self.numbers)
        self.numbers.append(value)
        return lambda n: n[place]


def rounding(x, digits):
    """Half a unit of the last of so many digits."""
    return 0.5 * 10.0 ** (math.floor(math.log10(abs(x))) - digits + 1) if x and math.isfinite(x) else 0.0


def says(text, shown, digits=6):
    """Is the formula worth the number beside it, as exactly as the digits of both let it be?"""
    formula = Formula(text)
    value = formula.value()
    if math.isnan(value) or math.isnan(shown) or math.isinf(value):
        return (math.isnan(value) and math.isnan(shown)) or value == shown
    error = rounding(shown, digits) + 2e-7 * abs(value) + 1e-7  # 1e-7: floats around 1, of which a small one is the difference
    for i, number in enumerate(formula.numbers):
        moved = list(formula.numbers)
        moved[i] += rounding(number, digits) + 1e-7 * abs(number)
        change = abs(formula.value(moved) - value)
        error += change if math.isfinite(change) else 0
    return abs(value - shown) <= 2 * error


if __name__ == "__main__":  # self-test of this file
    assert Formula("0.5·(−1.2) + (3 more: 0.1)·2").value() == 0.5 * -1.2 + 0.2
    assert Formula("−2² + (−3)²").value() == 5 and Formula("2 − 3 − 4").value() == -5
    assert Formula("if(1 > 2, 3, −4)·[2 ≥ 2]").value() == -4 and Formula("max(1, −2)/(1 + exp(0))").value() == 0.5
    assert says("0.5·0.5", 0.25) and not says("0.5·0.5", 0.2501) and not says("tanh(1)", 0.76158)
