#!/bin/sh
# msr-record: processor time a part and a mebibyte, memory with 500 sessions at 50 parts a second and
# with 5,000 idle ones. Beside it msr-frames filter, which only copies the same ring to one file.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${SECONDS_EACH:-5}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/msr-bench-XXXXXX") || exit 1
ring=bench-record-$$
reader=
finish() {
	[ "$reader" ] && kill "$reader" 2>/dev/null
	wait 2>/dev/null
	build/bin/msr-frames rm --force "shm:$ring" >/dev/null 2>&1
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 130' INT TERM

load=build/tests/bench/record_load
cpu() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
peak() { awk '/^VmHWM/ { print $2 }' "/proc/$1/status"; }

start() {
	rm -rf "$tmp/st"
	"$@" >"$tmp/out" 2>"$tmp/log" &
	reader=$!
}
stop() {
	kill "$reader" && wait "$reader" 2>/dev/null
	reader=
	build/bin/msr-frames rm --force "shm:$ring" >/dev/null 2>&1
}
recorder() { start build/bin/msr-record -d "$tmp/st" -e /dev/null -i "shm:$ring" "$@"; }

# row NAME LOAD-ARGUMENTS...: what the reader used
row() {
	name=$1
	shift
	$load "$ring" "$@" >"$tmp/load" || exit 1
	ticks=$(cpu "$reader")
	awk -v name="$name" -v t="$ticks" -v hz="$(getconf CLK_TCK)" -v s="$4" -v kb="$(peak "$reader")" '{
		us = t / hz * 1e6
		printf "%-34s %8.2f %9.0f %9.0f %7.1f %8.0f %5d\n", name, us / $2, us / ($4 / 1048576),
			$4 / 1048576 / s, us / s / 1e4, kb / 1024, $6 }' "$tmp/load"
}

printf '%-34s %8s %9s %9s %7s %8s %5s\n' '' 'us/part' 'us/MiB' 'MiB/s' 'cpu %' 'peak MiB' waits
recorder
row '500 x 50/s x 1,920 B, PCM' 500 50 1920 "$seconds" s16le
stop
recorder
row '500 x 50/s x 160 B, container' 500 50 160 "$seconds" webm
stop
recorder --sync 100
row '500 x 50/s x 1,920 B, --sync 100' 500 50 1920 "$seconds" s16le
stop
recorder
row '100 x 1/s x 256 KiB, container' 100 1 262144 "$seconds" webm
stop
recorder
row 'flood, 100 x 64 KiB' 100 0 65536 2 webm
stop
start build/bin/msr-frames filter -i "shm:$ring" -o /dev/null
row 'msr-frames: 500 x 50/s x 1,920 B' 500 50 1920 "$seconds" s16le
stop
recorder
row '5,000 sessions, one part each' 5000 1 1920 1 s16le
stop
