"""`PROGRAMS`: small programs that every sandbox must run as Python does.

They are what procedures are made of (arithmetic, text, dates, dictionaries) and the corners where interpreters differ.
Each defines `run()` without arguments, passes the look of the dialect, and returns a value.
"""

# ruff: noqa: E501  # one program a line
from __future__ import annotations

from typing import Final

_EXPRESSIONS: Final = (
    "[7 // 2, -7 // 2, 7 % 3, -7 % 3, 7 % -3, divmod(-7, 2), 2 ** 100, 2 ** -1, 7 / 2]",
    "[round(2.5), round(3.5), round(-2.5), round(2.675, 2), round(1.115, 2), round(-2.675, 2), round(0.125, 2)]",
    "[round(1234.5678, 2), round(1234.5678, -2), round(15, -1), round(8.000000000000002, 9), round(1e20, 2), round(5, 2)]",
    "[0.1 + 0.2, 1 / 3, 1e16, 1e-7, 123456789.123456789, 1e300 * 1e10, -0.0, 5e-324]",
    "[str(0.1), str(1e16), str(1e22), str(123456.0), str(1e-5), str(True), str(None), repr('a\\'b')]",
    "[int('12'), int(' 7 '), int('ff', 16), int(2.9), int(-2.9), float('1e3'), float('-inf'), int('1_000')]",
    "[sum([0.1] * 3), sum([]), max(3, 1, 2), min([4, 2]), min([], default=9), abs(-3), pow(2, 5, 7)]",
    "[f'{1234.5:,.2f}', f'{3:>5}|', f'{0.256:.1%}', f'{7:03d}', f'{\"x\":^5}', f'{255:x}', f'{2.675:.2f}', f'{1e6:g}']",
    "['%s %d %.2f %5.1f%%' % ('a', 1, 2.5, 12.34), '{:,} {}'.format(1234567, 'b'), '{0}{1}{0}'.format('x', 'y')]",
    "['a,b,,c'.split(','), ' a  b '.split(), 'a b c'.split(' ', 1), 'a,b,c'.rpartition(','), 'x'.join(['1', '2'])]",
    "['Straße'.upper(), 'İ'.lower(), 'ǅ'.title(), 'ß'.casefold(), 'hello world'.title(), 'aBc'.swapcase(), 'é'.isalpha()]",
    "['abc'.find('z'), 'abcabc'.rfind('b'), 'abc'.startswith(('x', 'a')), 'aXbX'.replace('X', '-', 1), 'ab'.zfill(5)]",
    "['abc'[::-1], 'abcdef'[1:-1:2], 'abc'[-2:], [1, 2, 3, 4][::2], 'a' < 'b', 'abc' * 2, 'b' in 'abc']",
    "['  x '.strip(), 'xxabxx'.strip('x'), 'abc'.removeprefix('a'), 'abc'.removesuffix('c'), 'l1\\nl2'.splitlines()]",
    "['12'.isdigit(), '½'.isnumeric(), '1.5'.isdecimal(), 'a1'.isalnum(), ' '.isspace(), 'Ab'.istitle(), 'x'.center(5, '*')]",
    "[ord('é'), chr(8364), bin(10), hex(255), oct(8), 'naïve'.encode().decode(), len('😀'), 'é'.encode('utf-8').hex()]",
    "[sorted(['10', '9', 'a'], key=len), sorted([3, 1, 2], reverse=True), sorted([(1, 'b'), (1, 'a')]), sorted('bca')]",
    "[[x * y for x in range(3) for y in range(3) if x != y], {k: v for k, v in zip('ab', [1, 2])}, sorted({1, 2} | {3})]",
    "[list(zip('ab', [1, 2], strict=True)), list(enumerate('ab', 1)), list(map(str, [1, 2])), list(filter(None, [0, 1]))]",
    "[any(x > 2 for x in [1, 3]), all([]), sum(x for x in range(4) if x % 2), list(reversed([1, 2])), list(range(9, 0, -3))]",
    "[dict.fromkeys('ab', 0), {**{'a': 1}, 'b': 2}, {'a': 1} | {'a': 2}, list({'x': 1}.items()), {'a': 1}.get('z', 3)]",
    "[isinstance(True, int), isinstance(1.0, (int, str)), type(1) is int, bool(''), bool([0]), 1 == 1.0]",
    "[1 if [] else 2, None or 'x', 0 and 1, not 1, 1 < 2 < 3, 3 > 2 == True, [1, 2] < [1, 3], (1, 2) == (1, 2)]",
    "[(lambda a, b=2, *c, k=3, **d: [a, b, c, k, d])(1, 5, 6, k=7, z=8), [*range(3), *'ab'], [y := 3, y + 1]]",
    "[{1, 2} & {2, 3} == {2}, {1} <= {1, 2}, len({1, 1.0, True}), 2 in {2: 'x'}, sorted({'b', 'a'}), frozenset([1]) == {1}]",
)

_BODIES: Final = (
    "import math\ndef run(): return [math.sqrt(2), math.floor(-1.5), math.ceil(1.2), math.gcd(12, 18), math.comb(5, 2)]",
    "import math\ndef run(): return [math.pi, math.isclose(0.3, 0.1 + 0.2), math.fsum([0.1] * 10), math.hypot(3, 4)]",
    "import math\ndef run(): return [math.log(10), math.log2(8), math.exp(1), math.trunc(-1.7), math.prod([2, 3]), math.lcm(4, 6)]",
    "import re\ndef run(): return [re.findall(r'\\d+', 'a1 b22'), re.sub(r'\\s+', ' ', 'a  b'), re.split(r'(,)', 'a,b')]",
    "import re\nMONEY = re.compile(r'\\$([\\d,]+\\.\\d\\d)')\ndef run(): return MONEY.search('pay $1,020.50 now').group(1)",
    "import re\ndef run():\n    m = re.fullmatch(r'(?P<n>\\d+)\\s*(?P<u>[a-z]+)?', '32 feet')\n"
    "    return [m.group('n'), m['u'], m.groups(), m.groupdict(), m.span(2), m.start(), m.end()]",
    "import re\ndef run(): return [m.start() for m in re.finditer('a', 'banana')] + [bool(re.match('b', 'ab'))]",
    "import re\ndef run(): return [re.sub(r'(\\w+) (\\w+)', r'\\2 \\1', 'a b'), re.escape('a.b'), re.search('(?i)B', 'abc').group()]",
    "import re\ndef run(): return [re.search(r'(\\w+) \\1', 'the the').group(), re.search('(?<=a)b', 'ab').group()]",
    "import json\ndef run(): return [json.dumps({'b': [1, 2.5, None, True], 'a': 'é'}, sort_keys=True), json.loads('[1, {\"a\": 2}]')]",
    "import json\ndef run(): return [json.dumps([1, 2], separators=(',', ':')), json.dumps({'a': 1}, indent=2), json.dumps('é', ensure_ascii=False)]",
    "from datetime import date, timedelta\ndef run(): return [date(2024, 2, 28) + timedelta(days=2), (date(2024, 3, 1) - date(2024, 2, 1)).days, date(2024, 1, 1).weekday()]",
    "from datetime import datetime\ndef run(): return [datetime.strptime('2024-02-29 13:05', '%Y-%m-%d %H:%M'), datetime(2024, 1, 2).strftime('%A %d %B %Y'), str(datetime(2024, 1, 2, 3))]",
    "from datetime import date, time\ndef run(): return [date.fromisoformat('2024-02-29').isoformat(), date(2024, 1, 31).replace(day=1), time(15, 4).strftime('%I:%M %p'), date(2024, 1, 1).isoweekday()]",
    "from datetime import timedelta\ndef run(): return [timedelta(hours=3) / timedelta(minutes=30), timedelta(minutes=90).total_seconds(), str(timedelta(days=1, hours=2)), timedelta(days=1) * 2]",
    "import datetime as dt\ndef run(): return [dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))).isoformat(), dt.date(2024, 1, 1) < dt.date(2024, 1, 2)]",
    "from collections import Counter\ndef run(): return [Counter('aabc').most_common(2), Counter([1, 1])[1], sum(Counter('ab').values())]",
    "from collections import defaultdict, deque\ndef run():\n    d = defaultdict(list)\n    d['a'].append(1)\n    q = deque([1, 2])\n    q.appendleft(0)\n    return [dict(d), list(q), q.pop()]",
    "from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef run(): return [P(1, 2).x, P(1, 2)._asdict(), P(1, 2)._replace(x=5)]",
    "import itertools\ndef run(): return [list(itertools.accumulate([1, 2, 3])), list(itertools.combinations('abc', 2)), [[k, list(g)] for k, g in itertools.groupby('aab')], list(itertools.islice(itertools.count(3), 2))]",
    "import itertools\ndef run(): return [list(itertools.chain([1], [2])), list(itertools.product('ab', [1])), list(itertools.permutations([1, 2])), list(itertools.zip_longest('ab', 'c'))]",
    "from functools import reduce, partial, cache\n@cache\ndef fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\ndef run(): return [reduce(lambda a, b: a * b, [1, 2, 3]), partial(pow, 2)(5), fib(60)]",
    "from decimal import Decimal, ROUND_HALF_UP\ndef run(): return [str(Decimal('2.675').quantize(Decimal('0.01'), rounding=ROUND_HALF_UP)), float(Decimal('0.1') + Decimal('0.2')), str(Decimal(1) / Decimal(3)), str(round(Decimal('2.675'), 2))]",
    "import bisect\ndef run(): return [bisect.bisect_left([1, 2, 3], 2), bisect.bisect([1, 2, 3], 2)]",
    "from dataclasses import dataclass, field\n@dataclass\nclass P:\n    a: int\n    b: list = field(default_factory=list)\n    def double(self): return self.a * 2\ndef run(): return [P(1).a, P(1) == P(1), P(3).double(), P(1).b]",
    "class Tally:\n    step = 2\n    def __init__(self): self.n = 0\n    def add(self, by): self.n += by * self.step\ndef run():\n    t = Tally()\n    t.add(3)\n    return t.n",
    "from typing import Any, Optional\ndef pick(x: Optional[int], *, other: Any = None) -> Any: return x if x is not None else other\ndef run() -> list[Any]: return [pick(1), pick(None, other='o')]",
    "def run():\n    try:\n        return 1 / 0\n    except (KeyError, ZeroDivisionError) as e:\n        return str(e)\n    finally:\n        pass",
    "def run():\n    found = []\n    for bad in ('x', None, [1]):\n        try:\n            found.append(int(bad))\n        except ValueError:\n            found.append('value')\n        except TypeError:\n            found.append('type')\n        else:\n            found.append('fine')\n    return found",
    "def run():\n    for i in range(3):\n        if i == 5:\n            break\n    else:\n        return 'none'\n    return i",
    "def run():\n    match {'kind': 'split', 'n': 3, 'x': [1, 2]}:\n        case {'kind': 'split', 'n': int(n), 'x': [first, *rest]} if n > 2:\n            return [n, first, rest]\n        case _:\n            return None",
    "def counter():\n    n = 0\n    def step():\n        nonlocal n\n        n += 1\n        return n\n    return step\ndef run():\n    step = counter()\n    return [step(), step()]",
    "TOTAL = 0\ndef run():\n    global TOTAL\n    i = 0\n    while True:\n        i += 1\n        if i % 2:\n            continue\n        TOTAL += i\n        if i > 8:\n            break\n    return TOTAL",
    "def run():\n    a, (b, *c), d = 1, (2, 3, 4), 5\n    a, b = b, a\n    x = [3, 1, 2]\n    x.sort()\n    x.insert(0, 9)\n    x.extend([7])\n    return [a, b, c, d, x, x.index(7), x.count(1), x.pop()]",
    "def run():\n    d = {'b': 1}\n    d.setdefault('a', []).append(2)\n    d.update(c=3)\n    gone = d.pop('b')\n    return [d, gone, list(d), 'a' in d, len(d), max(d, key=lambda k: len(k))]",
    "def run():\n    names = 'Ann, Bob and Cy'.replace(' and ', ', ').split(', ')\n    share = round(84.5 / len(names), 2)\n    return {n: f'${share:,.2f}' for n in names}",
)

_HEAD: Final = """\
import re, json
from itertools import islice, takewhile, chain, count, groupby
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
class V:
    def __init__(self, v): self.v = v
def index(xs, x):
    for i, y in enumerate(xs):
        if y == x:
            return i
def small(v):
    if v > 2:
        raise ValueError("large")
    return v
"""
_TRUTH: Final = """\
class B:
    def __init__(self, v): self.v = v
    def __bool__(self): return self.v > 0
"""

_CORNERS: Final = (
    # What is read once, and by whom.
    "ms = re.finditer('a', 'aba')\nn = sum(1 for _ in ms)\nreturn [n, len(list(ms))]",
    "return 'y' if re.finditer('z', 'a') else 'n'",
    "ms = re.compile('a').finditer(\n    'aba'\n)\nlist(ms)\nreturn [m.start() for m in ms]",
    "ms = re.finditer('a', 'aab')\nreturn [[p.start(), q.start()] for p, q in zip(ms, ms)]",
    "find = re.finditer\nms = find('a', 'a')\nlist(ms)\nreturn len(list(ms))",
    "try:\n    return len(re.finditer('a', 'a'))\nexcept TypeError:\n    return 'none'",
    'return f\'{len(list(re.finditer("a", "aba")))}\'',
    "it = iter([1, 2, 3, 4])\nr = any(x == 2 for x in it)\nreturn [r, list(it)]",
    "it = iter([1, 2, 3, 4])\nr = all(map(lambda x: x < 2, it))\nreturn [r, list(it)]",
    "it = iter([1, 2, 3, 4])\nfor i, x in enumerate(it):\n    if x == 2:\n        break\nreturn list(it)",
    "it = iter([1, 2, 3, 4])\nfor x, y in zip(it, it):\n    break\nreturn list(it)",
    "it = iter([1, 2, 3, 4])\nfor x in filter(None, it):\n    break\nreturn list(it)",
    "it = iter([1, 2, 3, 4])\nfor x in (y for y in chain(it, [5])):\n    break\nreturn list(it)",
    "it = iter([1, 2, 3, 4])\nreturn [index(it, 2), list(it)]",
    "def rest(xs):\n    return iter(xs)\nit = rest([1, 2, 3])\nreturn [2 in map(int, it), list(it)]",
    "b = V(iter([1, 2, 3]))\nr = any(x == 1 for x in b.v)\nreturn [r, list(b.v)]",
    "it = iter([1, 2, 3, 4])\nreturn [next(it), 3 in it, list(islice(it, 1)), list(it)]",
    "it = iter('abcd')\nreturn list(zip(it, it)) + list(zip('xy', count(1)))",
    "return [[k, any(x > 'a' for x in g)] for k, g in groupby('aabb')]",
    "xs = [iter('12')]\nit = iter('345')\nreturn list(zip(map(int, chain(xs[0], it)), it))",
    "it = iter('12')\ntry:\n    sum(x / 0 for x in zip(it, [1, 2]))\nexcept TypeError:\n    return list(it)",
    # What is never met, because it comes after the end.
    "try:\n    return any(int(v) == 1 for v in ['1', 'a'])\nexcept ValueError:\n    return 'bad'",
    "try:\n    for v in map(int, ['1', 'a']):\n        return v\nexcept ValueError:\n    return 'bad'",
    "try:\n    return 1 in map(int, ['1', 'a'])\nexcept ValueError:\n    return 'bad'",
    "try:\n    return dict(zip('a', map(int, ['1', 'a'])))\nexcept ValueError:\n    return 'bad'",
    "try:\n    return next(iter(map(int, ['1', 'a'])))\nexcept ValueError:\n    return 'bad'",
    "try:\n    return any(d['k'] == 1 for d in [{'k': 1}, {}])\nexcept LookupError:\n    return 'bad'",
    "try:\n    return any(small(v) == 1 for v in [1, 3])\nexcept Exception:\n    return 'bad'",
    "try:\n    return list(islice(map(int, ['1', 'a']), 1))\nexcept ValueError:\n    return 'bad'",
    "n = 0\ntry:\n    for v in (int(v) for v in ['1', 'a']):\n        n += v\nexcept ValueError:\n    pass\nreturn n",
    "def hit(xs):\n    return any(4 / x > 3 for x in xs)\ntry:\n    return hit([1, 0])\nexcept ZeroDivisionError:\n    return 'bad'",
    "try:\n    try:\n        return all(int(v) == 2 for v in ['1', 'a'])\n    except ValueError:\n        raise KeyError('k')\nexcept KeyError:\n    return 'bad'",
    "try:\n    return [any(x > 1 for x in [1, 2]), sum(map(int, ['1', 'a']))]\nexcept ValueError:\n    return 'bad'",
    # What changes on the way.
    "q = []\nfor v in map(lambda v: q.append(v) or v, [1, 2, 3]):\n    break\nreturn q",
    "q = []\nkeep = lambda v: q.append(v) or v\nreturn [2 in map(keep, [1, 2, 3]), q]",
    "q = [1, 2, 3, 4]\nfor a, b in zip([1, 2], map(lambda _: q.pop(0), range(3))):\n    pass\nreturn q",
    "d = {}\nlist(zip('ab', map(lambda v: d.setdefault(v, len(d)), 'xyz')))\nreturn d",
    "d = defaultdict(int)\nr = any(d[v] == 0 for v in 'xyz')\nreturn [r, dict(d)]",
    "d = defaultdict(int)\nr = list(zip('a', map(lambda v: d[v], 'xyz')))\nreturn [r, dict(d)]",
    "d = defaultdict(int)\nreturn [sum(d[v] for v in 'xyz'), dict(d)]",
    # What is a list in Monty alone.
    "return [reversed([1, 2]) == [2, 1], list(reversed([1, 2])) == [2, 1]]",
    "return 'y' if filter(None, [0]) else 'n'",
    "m = map\nreturn list(m(str, [1]))",
    "k = 2\nit = iter(x * k for x in [1, 2])\nk = 10\nreturn list(it)",
    "k = 2\nit = chain(map(lambda x: x * k, [1, 2]))\nk = 10\nreturn list(it)",
    "try:\n    return json.dumps(map(str, [1]))\nexcept TypeError:\n    return 'bad'",
    "xs = [1]\nxs += reversed([2, 3])\nreturn xs",
    # What classes say of themselves.
    _TRUTH + "return ['y' if B(0) else 'n', not B(0), [b.v for b in (B(0), B(1)) if b]]",
    "class L:\n    def __len__(self): return 0\nreturn bool(L())",
    "class F:\n    def __format__(self, form): return form\nreturn f'{F():>5}'",
    "class N:\n    def __eq__(self, other): return True\n    def __ne__(self, other): return True\nreturn N() != N()",
    "class N:\n    def __init__(self, v): self.v = v\n    def __lt__(self, other): return self.v < other.v\n    __gt__ = __lt__\nreturn N(1) > N(2)",
    "try:\n    return f'{V(1):>30}'[:1]\nexcept TypeError:\n    return 'bad'",
    "match 1:\n    case int(real=x):\n        return x\n    case _:\n        return 'none'",
    # What is missing, where that is caught.
    *(
        f"try:\n    return {expression}\nexcept Exception:\n    return 'bad'"
        for expression in (
            "(2.0).is_integer()",
            "list((0.5).as_integer_ratio())",
            "[(5).bit_length(), (5).bit_count()]",
            "(5).to_bytes(2, 'big').hex()",
            "int.from_bytes(b'ab', 'big')",
            "float.fromhex('0x1p-1')",
            "pow(3, -1, 7)",
            "date(2024, 1, 1).toordinal()",
            "date(2024, 1, 1).ctime()",
            "date(2024, 1, 1).timetuple().tm_yday",
            "re.match('(a)?b', 'b').groups('x')",
            "re.match('(a)', 'a').lastindex",
            "re.match('(a)', 'a').expand('x')",
            "[(5).numerator, (5).conjugate()]",
        )
    ),
    "s = {1, 2}\ntry:\n    s.intersection_update([1])\nexcept AttributeError:\n    pass\nreturn sorted(s)",
    "class R:\n    def __init__(self): self.numerator = 3\nreturn R().numerator",
    # What is left behind.
    "xs = [3, 1, 'a', 2]\ntry:\n    xs.sort()\nexcept TypeError:\n    pass\nreturn xs",
    "return [round(x, -1) for x in (12345678901234567.0, 15.0, 25.0, -25.0, 24.999999, -3.0, 1e300, 5e-324, 9007199254740995.0)]",
)

CORNERS: Final = tuple(
    f"{_HEAD}def run():\n" + "".join(f"    {line}\n" for line in body.split("\n")) for body in _CORNERS
)
"""Programs where interpreters part: they give what Python gives, or they are refused; never anything else."""

PROGRAMS: Final = tuple(f"def run(): return {expression}" for expression in _EXPRESSIONS) + _BODIES
