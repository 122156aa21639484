#!/bin/sh
# msr-audiod, with its hand-over to a worker and back, beside a bare libwebsockets echo that does
# nothing else: packets of 1,024 bytes, each compared with what was sent. flood keeps 16 packets
# under way for each client, paced sends 50 a second for each. Measured in turns; a figure is the
# median of the rounds. SECONDS_EACH (4) is the length of each measurement, ROUNDS (3) how many, CLIENTS
# those of the floods. A packet that is lost or wrong makes the exit status 1; a goal that is missed does
# not, for machines differ.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${SECONDS_EACH:-4}
rounds=${ROUNDS:-3}
points=${CLIENTS:-"1 10 100 1000"}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/msr-bench-XXXXXX") || exit 1
load=build/tests/bench/audiod_load
server=
failed=0
finish() {
	[ "$server" ] && kill "$server" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 130' INT TERM

free_port() { /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free_port)
health=$(free_port)

# start msr-audiod|bare
start() {
	case $1 in
	msr-audiod)
		bare=
		build/bin/msr-audiod -p "$port" --health-port "$health" -e /dev/null >"$tmp/log" 2>&1 &
		;;
	bare)
		bare=bare
		build/tests/bench/ws_echo "$port" >"$tmp/log" 2>&1 &
		;;
	esac
	server=$!
	until measure 1 1024 0.1 paced 10 >/dev/null 2>&1; do
		kill -0 "$server" 2>/dev/null || { cat "$tmp/log"; exit 1; }
		sleep 0.05
	done
}
# measure CLIENTS SIZE SECONDS flood|paced WINDOW|RATE
measure() {
	# shellcheck disable=SC2086 # $bare is empty or a word
	$load "$port" "$server" "$@" $bare
}
stop() {
	kill "$server" && wait "$server"
	server=
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
# column FILE N
column() { awk -v n="$2" '{ print $n }' "$1" | median; }

# compare CLIENTS flood|paced WINDOW|RATE
compare() {
	: >"$tmp/msr-audiod"
	: >"$tmp/bare"
	for _ in $(seq "$rounds"); do
		for name in bare msr-audiod; do
			start $name
			measure "$1" 1024 "$seconds" "$2" "$3" >>"$tmp/$name" || failed=1
			stop
		done
	done
	for name in msr-audiod bare; do
		printf '%-6s %7d  %-10s %9d %8.2f %6d %6d %8.1f %8.1f %6d\n' "$2" "$1" $name \
			"$(column "$tmp/$name" 1)" "$(column "$tmp/$name" 2)" "$(column "$tmp/$name" 3)" \
			"$(column "$tmp/$name" 4)" "$(column "$tmp/$name" 5 | awk '{ print $1 / 1000 }')" \
			"$(column "$tmp/$name" 6 | awk '{ print $1 / 1000 }')" "$(column "$tmp/$name" 7 | awk '{ print int($1 / 1024) }')"
	done
	awk -v a="$(column "$tmp/msr-audiod" 2)" -v b="$(column "$tmp/bare" 2)" \
		'BEGIN { printf "       CPU a packet: %.2f times the bare echo\n", a / b }'
}

# goal WHAT EXPRESSION: whether it holds for the last measurement's packets/s, CPU (us, and the bare
# echo's), p99 (us) and KiB.
goal() {
	awk -v what="$1" -v rate="$(column "$tmp/msr-audiod" 1)" -v cpu="$(column "$tmp/msr-audiod" 2)" \
		-v bare="$(column "$tmp/bare" 2)" -v p99="$(column "$tmp/msr-audiod" 6)" -v kib="$(column "$tmp/msr-audiod" 7)" \
		"BEGIN { printf \"       goal %s: %s\n\", ($2) ? \"met\" : \"missed\", what }"
}

echo "load   clients  server     packets/s   CPU us   lost  wrong   p50 ms   p99 ms    MiB"
for clients in $points; do
	compare "$clients" flood 16
	[ "$clients" = 100 ] || continue
	goal "100,000 packets/s" "rate >= 100000"
	goal "1.6 times the bare echo's CPU" "cpu <= 1.6 * bare"
done
compare 1000 paced 50
goal "p99 below 5 ms" "p99 < 5000"
goal "300 MiB" "kib < 300 * 1024"
[ $failed -eq 0 ]
