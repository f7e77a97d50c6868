#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What Prometheus' own tool says of the metrics (the golden text of unit/test_metrics), of the alert rules, which
# it also tries on made-up hosts, and of every query of the dashboard. Exit 77 where the tool is not to be had:
# "tests/promtool --fetch" takes it out of Debian's package.
set -u

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
PROMTOOL=tests/promtool FAILED=0
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

$PROMTOOL --version >/dev/null || exit

try() { # WHAT WANTED-CODE COMMAND…
	local what=$1 want=$2 code

	shift 2
	"$@" >"$WORK/log" 2>&1
	code=$?
	[ $code -eq "$want" ] && return
	printf '%s: exit code %s, wanted %s\n' "$what" $code "$want"
	cat "$WORK/log"
	FAILED=1
}

# The queries of the dashboard as rules, for their syntax: queries DASHBOARD
queries() {
	python3 - "$1" <<-'END'
		import json, sys

		def value(expr):
		    for name, text in ("$__rate_interval", "1m"), ("$instance", ".*"):
		        expr = expr.replace(name, text)
		    return json.dumps(expr)

		print("groups:\n- name: dashboard\n  rules:")
		for panel in json.load(open(sys.argv[1]))["panels"]:
		    for target in panel.get("targets", []):
		        print(f'  - record: panel:{panel["id"]}:{target["refId"]}\n    expr: {value(target["expr"])}')
	END
}

metrics() { $PROMTOOL check metrics <"$1"; }

try "the metrics" 0 metrics tests/unit/metrics.prom
sed '/^# HELP jobfence_heals_total /d' tests/unit/metrics.prom >"$WORK/unsaid"
try "the control: a metric that nobody explains" 3 metrics "$WORK/unsaid"
try "the alert rules" 0 $PROMTOOL check rules contrib/prometheus/alerts.yml
try "the alert rules on made-up hosts" 0 $PROMTOOL test rules tests/unit/alerts_test.yml
queries contrib/grafana/jobfence.json >"$WORK/queries.yml"
try "the dashboard's queries" 0 $PROMTOOL check rules "$WORK/queries.yml"
sed 's/sum(/sum((/' "$WORK/queries.yml" >"$WORK/wrong.yml"
try "the control: a query that is none" 1 $PROMTOOL check rules "$WORK/wrong.yml"
exit $FAILED
