#!/bin/sh
# msr-ws: CPU a message against a bare libwebsockets sink that does nothing, room fan-out, and the
# memory of idle sessions. Servers are measured in turns; a figure is the median of the rounds.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${SECONDS_EACH:-6}
rounds=${ROUNDS:-3}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/msr-bench-XXXXXX") || exit 1
ring=bench-$$
server=
recorder=
finish() {
	[ "$server" ] && kill "$server" 2>/dev/null
	[ "$recorder" ] && kill "$recorder" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$tmp" "/dev/shm/msr-$ring" "/dev/shm/msr-$ring.bell" "/dev/shm/msr-$ring.room"
}
trap finish EXIT
trap 'exit 130' INT TERM

load=build/tests/bench/ws_load
port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

start() {
	"$@" >/dev/null 2>"$tmp/log" &
	server=$!
	until $load "$port" /warm/up 1 0 1 0 >/dev/null 2>&1; do
		kill -0 "$server" 2>/dev/null || { cat "$tmp/log"; exit 1; }
		sleep 0.05
	done
}
stop() {
	kill "$1" && wait "$1" 2>/dev/null
}
cpu() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
msr_ws() { start build/bin/msr-ws -p "$port" -e /dev/null --page examples "$@"; }
bare() { start build/tests/bench/ws_sink "$port"; }

# measure FIELD LOAD-ARGUMENTS...: CPU microseconds of the server for each thing counted in FIELD
measure() {
	field=$1
	shift
	before=$(cpu "$server")
	$load "$port" "$@" >"$tmp/out" || { cat "$tmp/out"; exit 1; }
	after=$(cpu "$server")
	tail -n 1 "$tmp/out" | awk -v f="$field" -v t=$((after - before)) -v hz="$(getconf CLK_TCK)" \
		'{ for (i = 1; i < NF; i++) if ($i == f) printf "%.3f\n", t / hz * 1e6 / $(i + 1) }'
}

pcm='/bench/s%d?media=audio&codec=s16le'
for clients in 100 1000; do
	for _ in $(seq "$rounds"); do
		bare
		measure sent "$pcm" "$clients" 50 1920 "$seconds" >>"$tmp/bare.$clients"
		stop "$server"
		msr_ws -o /dev/null
		measure sent "$pcm" "$clients" 50 1920 "$seconds" >>"$tmp/ws.$clients"
		stop "$server"
	done
	a=$(median <"$tmp/bare.$clients")
	b=$(median <"$tmp/ws.$clients")
	echo "$clients sessions x 50/s x 1920 B: bare sink $a, msr-ws $b us CPU a message: $(awk "BEGIN { printf \"%.2f\", $b / $a }") times (goal 1.3)"
done

for _ in $(seq "$rounds"); do
	msr_ws -o /dev/null --max-rate 100000
	measure received '/bench/s%d' 50 2000 200 "$seconds" text >>"$tmp/room"
	stop "$server"
done
echo "room of 50, 200 B texts: $(median <"$tmp/room") us CPU a delivery"

if [ -x build/bin/msr-record ]; then
	build/bin/msr-record -d "$tmp/storage" -i "shm:$ring" -e /dev/null >/dev/null 2>&1 &
	recorder=$!
fi
msr_ws -o "shm:$ring"
empty=$(rss "$server")
$load "$port" '/r%d/idle' 5000 0.01 100 3 >"$tmp/idle" &
idle=$!
until grep -q open "$tmp/idle" 2>/dev/null; do
	kill -0 $idle 2>/dev/null || { cat "$tmp/idle"; exit 1; }
	sleep 0.1
done
full=$(rss "$server")
echo "5,000 idle sessions: msr-ws $((full / 1024)) MiB ($(((full - empty) * 1024 / 5000)) bytes a session)${recorder:+, msr-record $(($(rss "$recorder") / 1024)) MiB} (goal: 256 MiB together)"
wait $idle
stop "$server"
server=
