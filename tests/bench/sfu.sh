#!/bin/sh
# msr-sfu beside a plain forwarder (opens, seals and sends each packet by itself, with the same
# AES-GCM): CPU for each forwarded packet of 1,100 bytes, 1,000 of them a second from one publisher,
# evenly spaced and in bursts of a frame; latency, loss, memory a receiver; the cost of receivers
# that get nearly nothing. Measured in turns; a figure is the median of the rounds.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${SECONDS_EACH:-4}
rounds=${ROUNDS:-3}
points=${RECEIVERS:-"10 50"}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/msr-bench-XXXXXX") || exit 1
server=
finish() {
	[ "$server" ] && kill "$server" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 130' INT TERM

port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

start() {
	build/bin/msr-sfu -p "$port" -e /dev/null --rtc-address 127.0.0.1 --max-users 2000 \
		--rtc-min-port 20000 --rtc-max-port 29999 >/dev/null 2>"$tmp/log" &
	server=$!
	until curl -sf "http://127.0.0.1:$port/health" >/dev/null; do
		kill -0 "$server" 2>/dev/null || { cat "$tmp/log"; exit 1; }
		sleep 0.05
	done
}
stop() {
	kill "$server" && wait "$server" 2>/dev/null
	server=
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
# column FILE N
column() { awk -v n="$2" '{ print $n }' "$1" | median; }

echo "pace  receivers  msr-sfu us/packet  bare us/packet  ratio  p50 us  p99 us  lost %  RSS KiB"
for pace in even burst; do
	for n in $points; do
		: >"$tmp/msr"
		: >"$tmp/bare"
		i=0
		while [ $i -lt "$rounds" ]; do
			start
			build/tests/bench/sfu_load "$port" "$server" "$n" "$seconds" 1000 1100 $pace \
				>>"$tmp/msr" || exit 1
			stop
			build/tests/bench/sfu_bare "$n" "$seconds" 1000 1100 $pace >>"$tmp/bare" || exit 1
			i=$((i + 1))
		done
		awk '{ print ($2 - $3) * 100 / $2 }' "$tmp/msr" >"$tmp/lost"
		awk -v pace=$pace -v n="$n" -v msr="$(column "$tmp/msr" 4)" -v bare="$(column "$tmp/bare" 3)" \
			-v p50="$(column "$tmp/msr" 5)" -v p99="$(column "$tmp/msr" 6)" \
			-v lost="$(column "$tmp/lost" 1)" -v rss="$(column "$tmp/msr" 7)" 'BEGIN {
			printf "%-5s %9d %18.2f %15.2f %6.2f %7d %7d %7.2f %8d\n", pace, n, msr, bare, msr / bare,
				p50, p99, lost, rss }'
	done
done

# Idle: a packet a second for a thousand receivers, with what ICE, RTCP and timers add.
start
build/tests/bench/sfu_load "$port" "$server" 1000 10 1 100 even >"$tmp/idle" || exit 1
awk '{ printf "1000 receivers of 1 packet/s: %.1f %% of a core, %d KiB\n", $4 * $3 / 10 / 10000, $7 }' "$tmp/idle"
stop
