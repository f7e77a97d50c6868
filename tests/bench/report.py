#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the table, results.json and the plots from samples.tsv. Usage: report.py FOLDER

Only counts and divides. A goal whose figures were not measured is "not measured", never "reached".
"""
import json
import os
import sys
from collections import OrderedDict
from statistics import median


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


class Results:
    """Samples by (metric, variant, size)."""

    def __init__(self, path):
        self.samples = OrderedDict()
        self.units = {}
        with open(path, encoding='utf-8') as lines:
            for line in lines:
                metric, variant, size, unit, value = line.rstrip('\n').split('\t')
                key = metric, variant, int(size)
                self.samples.setdefault(key, []).append(float(value))
                self.units[metric] = unit

    def get(self, metric, variant='jobfence', size=None, part=0.5):
        """The median (or another percentile), None where there is none; without a size the first."""
        for (m, v, s), values in self.samples.items():
            if (m, v) == (metric, variant) and (size is None or s == size):
                return median(values) if part == 0.5 else percentile(values, part)
        return None

    def best(self, metric, variant, size):
        return self.get(metric, variant, size, 0)

    def summary(self, key):
        values = self.samples[key]
        return {'metric': key[0], 'variant': key[1], 'size': key[2], 'unit': self.units[key[0]],
                'n': len(values), 'min': min(values), 'p25': percentile(values, .25),
                'median': median(values), 'p75': percentile(values, .75),
                'p99': percentile(values, .99), 'max': max(values)}


def ratio(a, b):
    return a / b if a is not None and b else None


def worst(ratios, lowest=False):
    ratios = [r for r in ratios if r is not None]
    return (min(ratios) if lowest else max(ratios)) if ratios else None


FLOWS = ('loopback', 'to_bridge', 'to_internet')
WAYS = ('connections', 'trips')


def in_turns(r, metric, size):
    """The ratios of what was measured with so many to both neighbours with one: 1, N, 1, N, 1."""
    one = r.samples.get((metric, 'jobfence', 1), [])
    many = r.samples.get((metric, 'jobfence', size), [])
    if not many or len(one) != len(many) + 1:
        return []
    return [m / ((a + b) / 2) for m, a, b in zip(many, one, one[1:])]


def packet_flat(r):
    """Over all flows: the median of one flow's few turns is worth 10 percent where the clock wanders."""
    ratios = [in_turns(r, f'flat.{f}.{w}', 10000) for f in FLOWS for w in WAYS]
    return median(sum(ratios, [])) if all(ratios) else None


# What else the machine does only ever adds to a packet's time: these goals compare the best rounds.

def packet_share(r):
    return worst((ratio(r.best(f'packet.{f}.connections', 'none', 1),
                        r.best(f'packet.{f}.connections', 'jobfence', 1))
                  for f in ('loopback', 'to_bridge')), lowest=True)


def extra(r, metric, variant, size):
    """What a variant adds to a packet that nobody filters; a twentieth of it is noise."""
    of, none = r.best(metric, variant, size), r.best(metric, 'none', 1)
    return None if of is None or none is None else max(of - none, none / 20)


def per_container(r, variant):
    return worst((ratio(extra(r, m, variant, 1000), extra(r, m, 'jobfence', 1000))
                  for m in ('packet.denied.packets', 'packet.to_internet.packets')), lowest=True)


def floor_commit(r):
    return r.get('commit.add', 'floor')


GOALS = (
    # what, how it is worked out, the bound, whether more is better, how it is printed
    ('packet path at 10,000 jobs against 1 job', packet_flat, 1.03, False, '× {:.3f}'),
    ('allowed connections per second against none', packet_share, 0.97, True, '{:.1%}'),
    ('rule per container (nft) at 1,000 against jobfence, per packet',
     lambda r: per_container(r, 'per container, nft'), 10, True, '× {:.1f}'),
    ('rule per container (iptables-nft) at 1,000 against jobfence',
     lambda r: per_container(r, 'per container, iptables'), 10, True, '× {:.1f}'),
    ('one commit alone, p50, against the floor',
     lambda r: ratio(r.get('commit.add'), floor_commit(r)), 1.3, False, '× {:.2f}'),
    ('event line to commit, no question, p50, against the floor',
     lambda r: ratio(r.get('event.destroy', size=100), floor_commit(r)), 10, False, '× {:.0f}'),
    ('event line to commit, no question, p99, against the floor',
     lambda r: ratio(r.get('event.destroy', size=100, part=.99), floor_commit(r)), 20, False,
     '× {:.0f}'),
    ('event line to commit less the engine, p50, against the floor',
     lambda r: ratio(r.get('event.start', size=100), floor_commit(r)), 10, False, '× {:.0f}'),
    ('event line to commit less the engine, p99, against the floor',
     lambda r: ratio(r.get('event.start', size=100, part=.99), floor_commit(r)), 20, False,
     '× {:.0f}'),
    ('shell loop against jobfence, one change whole, p99',
     lambda r: ratio(r.get('event.start.whole', 'shell loop', 100, .99),
                     r.get('event.start.whole', 'jobfence', 100, .99)), 20, True, '× {:.1f}'),
    ('link announced to commit, p99, against the bare reactor',
     lambda r: ratio(r.get('link.attach', 'jobfence', part=.99),
                     r.get('link.attach', 'reactor', part=.99)), 3, False, '× {:.1f}'),
    ('new bystander served at its first attempt',
     lambda r: ratio(r.get('race.served', 'jobfence'), r.get('race.bystanders', 'jobfence')), 0.99,
     True, '{:.1%}'),
    ('full reconcile of 10,000, nft -f against jobfence',
     lambda r: ratio(r.get('scale.full', 'nft -f', 10000), r.get('scale.full', size=10000)), 1,
     True, '× {:.1f}'),
    ('one more container at 10,000 against at 100, ruleset alone',
     lambda r: ratio(r.get('scale.one_more', size=10000), r.get('scale.one_more', size=100)), 2,
     False, '× {:.0f}'),
    ('one more container at 10,000 against at 100, whole daemon',
     lambda r: ratio(r.get('event.destroy', size=10000), r.get('event.destroy', size=100)), 2,
     False, '× {:.0f}'),
    ('private memory, no container',
     lambda r: ratio(r.get('sync.private', size=0), 1024), 2, False, '{:.1f} MiB'),
    ('private memory, 10,000 containers',
     lambda r: ratio(r.get('sync.private', size=10000), 1024), 16, False, '{:.1f} MiB'),
    ('wakeups per minute between two periodic looks', lambda r: r.get('idle.wakeups'), 0, False,
     '{:.0f}'),
    ('exec to base ruleset, nft -f against jobfence',
     lambda r: ratio(r.get('startup', 'nft -f'), r.get('startup')), 1, True, '× {:.2f}'),
    ('successful forbidden connections, jobfence', lambda r: r.get('race.leaks', 'jobfence'), 0,
     False, '{:.0f}'),
)


def goals(results):
    rows = []
    for what, work_out, bound, more, form in GOALS:
        value = work_out(results)
        if value is None:
            rows.append((what, '', '', 'not measured'))
            continue
        reached = value >= bound if more else value <= bound
        rows.append((what, form.format(value), ('≥ ' if more else '≤ ') + form.format(bound),
                     'reached' if reached else 'not reached'))
    return rows


def table(rows, head):
    widths = [max(len(str(row[i])) for row in [head] + rows) for i in range(len(head))]
    lines = ['| ' + ' | '.join(str(c).ljust(w) for c, w in zip(row, widths)) + ' |'
             for row in [head] + rows]
    lines.insert(1, '|' + '|'.join('-' * (w + 2) for w in widths) + '|')
    return '\n'.join(lines)


def number(value):
    if value and abs(value) < 10:
        return f'{value:.2f}'
    return f'{value:,.1f}' if abs(value) < 1000 else f'{value:,.0f}'


def against(results, summary):
    """The ratio to what this metric is compared with, where there is such a thing."""
    for base in ('floor', 'none', 'reactor', 'nft -f'):
        size = 1 if base == 'none' else summary['size']
        of = results.get(summary['metric'], base, size)
        if of and summary['variant'] != base:
            return f"× {summary['median'] / of:.3g} {base}"
    return ''


def figures(results):
    rows = []
    for key in results.samples:
        s = results.summary(key)
        rows.append((s['metric'], s['variant'], f"{s['size']:,}", against(results, s),
                     number(s['median']), number(s['p99']),
                     f"{number(s['p25'])}–{number(s['p75'])}", s['unit'], s['n']))
    return rows


# --- plots: logarithmic axes, one line per variant ---------------------------------------------

COLOURS = ('#1b6ca8', '#c0392b', '#2e8b57', '#8e44ad', '#b8860b', '#444444')
PLOTS = (
    ('packet-denied', 'A denied packet, by number of jobs', 'packet.denied.packets'),
    ('packet-internet', 'A packet from a bridge job to the internet', 'packet.to_internet.packets'),
    ('packet-connections', 'A connection from the host to a bridge job',
     'packet.to_bridge.connections'),
    ('scale-full', 'Full reconcile, without the engine', 'scale.full'),
    ('scale-one-more', 'One container more, ruleset alone', 'scale.one_more'),
    ('event-destroy', 'An event line to its commit, whole daemon', 'event.destroy'),
    ('memory', 'Private memory, by number of containers', 'sync.private'),
)


def ticks(low, high):
    power = 10.0 ** -3
    while power * 10 <= low:
        power *= 10
    result = [power]
    while result[-1] < high:
        result.append(result[-1] * 10)
    return result


def plot(results, metric, title):
    from math import log10
    lines = OrderedDict()
    for m, variant, size in results.samples:
        if m == metric:
            lines.setdefault(variant, []).append((max(size, 1), results.get(m, variant, size)))
    points = [p for line in lines.values() for p in line if p[1] > 0]
    if len(points) < 2:
        return None
    xs, ys = ticks(min(p[0] for p in points), max(p[0] for p in points)), \
        ticks(min(p[1] for p in points), max(p[1] for p in points))
    if len(xs) < 2:
        xs.append(xs[0] * 10)
    if len(ys) < 2:
        ys.append(ys[0] * 10)

    def at(x, y):
        return (70 + 400 * (log10(x) - log10(xs[0])) / (log10(xs[-1]) - log10(xs[0])),
                290 - 240 * (log10(y) - log10(ys[0])) / (log10(ys[-1]) - log10(ys[0])))

    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="680" height="340" '
           'font-family="sans-serif" font-size="12">',
           '<rect width="680" height="340" fill="white"/>',
           f'<text x="70" y="24" font-size="15">{title} ({results.units[metric]})</text>']
    for x in xs:
        px = at(x, ys[0])[0]
        out.append(f'<path d="M{px:.1f} 50V290" stroke="#ddd"/>'
                   f'<text x="{px:.1f}" y="308" text-anchor="middle">{x:,.0f}</text>')
    for y in ys:
        py = at(xs[0], y)[1]
        out.append(f'<path d="M70 {py:.1f}H470" stroke="#ddd"/>'
                   f'<text x="62" y="{py + 4:.1f}" text-anchor="end">{y:,.6g}</text>')
    for i, (variant, line) in enumerate(lines.items()):
        colour = COLOURS[i % len(COLOURS)]
        path = [at(x, y) for x, y in sorted(line) if y > 0]
        out.append('<polyline fill="none" stroke-width="2" stroke="%s" points="%s"/>' % (
            colour, ' '.join(f'{x:.1f},{y:.1f}' for x, y in path)))
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in path]
        out.append(f'<text x="485" y="{66 + 20 * i}" fill="{colour}">{variant}</text>')
    out.append('<text x="270" y="330" text-anchor="middle">containers</text></svg>')
    return '\n'.join(out) + '\n'


def main(folder):
    results = Results(os.path.join(folder, 'samples.tsv'))
    with open(os.path.join(folder, 'circumstances.tsv'), encoding='utf-8') as lines:
        circumstances = dict(line.rstrip('\n').split('\t', 1) for line in lines)
    reached = goals(results)
    text = '\n\n'.join((
        '\n'.join(f'{name}: {value}' for name, value in circumstances.items()),
        table(reached, ('what', 'measured', 'goal', '')),
        table(figures(results), ('metric', 'variant', 'size', 'ratio', 'median', 'p99', 'p25–p75',
                                 'unit', 'n')))) + '\n'
    with open(os.path.join(folder, 'table.md'), 'w', encoding='utf-8') as out:
        out.write(text)
    with open(os.path.join(folder, 'results.json'), 'w', encoding='utf-8') as out:
        json.dump({'circumstances': circumstances,
                   'goals': [dict(zip(('what', 'measured', 'goal', 'verdict'), row))
                             for row in reached],
                   'figures': [results.summary(key) for key in results.samples]}, out, indent=1,
                  ensure_ascii=False)
    for name, title, metric in PLOTS:
        svg = plot(results, metric, title)
        if svg:
            with open(os.path.join(folder, name + '.svg'), 'w', encoding='utf-8') as out:
                out.write(svg)
    print(text)


if __name__ == '__main__':
    main(sys.argv[1])
