#!/bin/sh
# msr-sfu beside Janus (VideoRoom, two event loops) and a plain loop that opens, seals and sends
# each packet by itself: CPU for each forwarded packet of 1,100 bytes, latency, loss and memory a
# receiver; receivers a core; what more receivers and idle ones cost; what recording and the
# estimation of bandwidth add. One after another, ROUNDS times, and the median; what adds something
# is measured in PAIRS rounds. The figures also go, a line of JSON each, to the file that JSON names.
# What has not begun after LIMIT seconds is left out.
#
# Janus uses no loopback address, so all of it runs in a network namespace of its own, with a pair
# of devices whose address the kernel reaches through lo all the same. Where that is not allowed,
# or Janus is not installed, its lines are missing.
set -u
cd "$(dirname "$0")/../.." || exit 1
address=192.0.2.1
if [ -z "${MSR_BENCH_NET:-}" ]; then
	export MSR_BENCH_NET=own
	unshare -n true 2>/dev/null && exec unshare -n sh "$0"
	unshare -rn true 2>/dev/null && exec unshare -rn sh "$0"
	MSR_BENCH_NET=shared
fi
seconds=${SECONDS_EACH:-2}
rounds=${ROUNDS:-1}
pairs=${PAIRS:-3}
limit=${LIMIT:-900}
begun=$(date +%s)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/msr-bench-XXXXXX") || exit 1
json=${JSON:-$tmp/json}
ring=bench-sfu-$$
server=
recorder=
options=
finish() {
	[ "$server" ] && kill "$server" 2>/dev/null
	[ "$recorder" ] && kill "$recorder" 2>/dev/null
	wait 2>/dev/null
	build/bin/msr-frames rm --force "shm:$ring" >/dev/null 2>&1
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 130' INT TERM

have_janus=
if [ "$MSR_BENCH_NET" = own ] && ip link set lo up && ip link add msr0 type veth peer name msr1 &&
	ip addr add $address/24 dev msr0 && ip link set msr0 up && ip link set msr1 up; then
	command -v janus >/dev/null && have_janus=1
else
	address=127.0.0.1
fi 2>/dev/null
[ $have_janus ] || echo "Janus is left out: it is not installed, or there is no network namespace for it."

late() {
	[ $(($(date +%s) - begun)) -ge "$limit" ]
}

free_port() {
	/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# wait_for URL: until the server answers
wait_for() {
	tries=0
	until curl -s -m 1 -o "$tmp/reply" "$1"; do
		tries=$((tries + 1))
		if [ $tries -ge 200 ] || ! kill -0 "$server" 2>/dev/null; then
			cat "$tmp/log"
			exit 1
		fi
		sleep 0.05
	done
}

start_msr() {
	port=$(free_port)
	# shellcheck disable=SC2086 # one word an option
	build/bin/msr-sfu -p "$port" -e /dev/null --rtc-address $address --max-users 3000 \
		--rtc-min-port 20000 --rtc-max-port 29999 $options >/dev/null 2>"$tmp/log" &
	server=$!
	wait_for "http://127.0.0.1:$port/health"
}

start_janus() {
	port=$(free_port)
	lib=$(dirname "$(dpkg -L janus | grep 'plugins/libjanus_videoroom.so$')")/..
	rm -rf "$tmp/janus"
	mkdir -p "$tmp/janus/plugins" "$tmp/janus/transports" "$tmp/janus/none"
	ln -s "$lib/plugins/libjanus_videoroom.so" "$tmp/janus/plugins/"
	ln -s "$lib/transports/libjanus_http.so" "$tmp/janus/transports/"
	cat >"$tmp/janus/janus.jcfg" <<-END
		general: {
			configs_folder = "$tmp/janus"
			plugins_folder = "$tmp/janus/plugins"
			transports_folder = "$tmp/janus/transports"
			events_folder = "$tmp/janus/none"
			loggers_folder = "$tmp/janus/none"
			debug_level = 2
			session_timeout = 0
			event_loops = 2
		}
		media: { ipv6 = false, rtp_port_range = "20000-29999", slowlink_threshold = 0 }
		nat: { ice_lite = true, ice_tcp = false, full_trickle = false }
		events: { broadcast = false }
	END
	echo "general: { json = \"compact\", base_path = \"/janus\", http = true, port = $port," \
		'ip = "127.0.0.1", https = false }, admin: { admin_http = false }' \
		>"$tmp/janus/janus.transport.http.jcfg"
	echo 'general: { events = false }' >"$tmp/janus/janus.plugin.videoroom.jcfg"
	janus -F "$tmp/janus" -C "$tmp/janus/janus.jcfg" >"$tmp/log" 2>&1 &
	server=$!
	wait_for "http://127.0.0.1:$port/janus/info"
}

stop() {
	kill "$server"
	wait "$server" 2>/dev/null
	server=
}

# measure msr|janus|bare SCENARIO PUBLISHERS RECEIVERS SECONDS RATE SIZE PACE SRTP [silent]: a line of JSON.
# Fails where Janus does; all else ends the run.
measure() {
	who=$1 scenario=$2
	shift 2
	if [ "$who" = bare ]; then
		shift
		build/tests/bench/sfu_bare "$@" >"$tmp/line" || exit 1
	else
		"start_$who"
		timeout 60 build/tests/bench/sfu_load "$who" $address "$port" "$server" "$@" >"$tmp/line"
		measured=$?
		stop
		if [ $measured -ne 0 ]; then
			[ "$who" = janus ] || exit 1
			return 1
		fi
	fi
	jq -c --arg scenario "$scenario" '{scenario: $scenario} + .' "$tmp/line" >>"$json"
}

# median KEY ...: of the lines on standard input, the first line with medians of these members
median() {
	jq -cs --args '. as $all | reduce $ARGS.positional[] as $k (.[0];
		if has($k) then .[$k] = ([$all[][$k]] | sort | .[(length - 1) / 2 | floor]) else . end)' "$@"
}

# point SERVERS SCENARIO ARGUMENTS-OF-MEASURE: a row for each server. One that loses packets has more to
# do than it can: what each costs is no figure then.
point() {
	servers=$1 scenario=$2
	shift 2
	for who in $servers; do
		i=0
		: >"$tmp/rows"
		while [ $i -lt "$rounds" ]; do
			late && return
			if ! measure "$who" "$scenario" "$@"; then
				printf '%-10s %-10s %9d  %-5s %-4s %10s\n' "$scenario" Janus "$2" "$6" "$7" failed
				continue 2
			fi
			tail -n 1 "$json" >>"$tmp/rows"
			i=$((i + 1))
		done
		median us_per_packet p50_us p99_us lost_percent kib_per_receiver cpu_percent <"$tmp/rows" |
			jq -r '[.scenario, .server, .receivers, .pace, .srtp, .us_per_packet, .p50_us // "-",
				.p99_us // "-", .lost_percent // "-", .kib_per_receiver // "-"] | @tsv' |
			awk -F'\t' '{ printf "%-10s %-10s %9d  %-5s %-4s %10s %8s %8s %7s %9s\n",
				$1, $2, $3, $4, $5, ($9 >= 1) ? "saturated" : sprintf("%.2f", $6), $7, $8, $9, $10 }'
	done
}

: >"$json"
printf '%-10s %-10s %9s  %-5s %-4s %10s %8s %8s %7s %9s\n' scenario server receivers pace srtp \
	us/packet 'p50 us' 'p99 us' 'lost %' KiB/recv
others="${have_janus:+janus }bare"
for pace in even burst; do
	for n in 10 50; do
		point "msr $others" fan-out 1 $n "$seconds" 1000 1100 $pace gcm
	done
	point "msr $others" fan-out 1 50 "$seconds" 1000 1100 $pace cm
	# More a second the receivers would not keep up with: they share the machine.
	for srtp in gcm cm; do
		point "msr $others" fan-out 1 200 "$seconds" 300 1100 $pace $srtp
	done
done
for n in 10 500; do
	point msr growth 1 $n "$seconds" 100 1100 even gcm
done
point "msr ${have_janus:+janus}" hd-call 1 50 "$seconds" 150 1000 burst gcm

late && echo "The rest is left out: after $limit s no time is left." && exit

echo
# of SCENARIO SERVER RECEIVERS KEY: the median
of() {
	jq -c --arg s "$1" --arg w "$2" --argjson n "$3" \
		'select(.scenario == $s and .server == $w and .receivers == $n)' "$json" | median "$4" | jq ".$4"
}
for who in msr-sfu Janus; do
	us=$(of hd-call $who 50 us_per_packet)
	[ "$us" = null ] || awk -v who=$who -v us="$us" 'BEGIN {
		printf "%s: %d receivers of 1.2 Mbit/s at 30 frames/s a core\n", who, 1e6 / us / 150 }'
done
awk -v a="$(of growth msr-sfu 10 us_per_packet)" -v b="$(of growth msr-sfu 500 us_per_packet)" \
	'BEGIN { printf "msr-sfu: %.0f %% more a packet with 500 receivers than with 10 (100 packets/s)\n", (b / a - 1) * 100 }'
measure msr idle 1 1000 10 0 100 even gcm
echo "msr-sfu: $(of idle msr-sfu 1000 cpu_percent) % of a core for 1,000 receivers of nothing"

start_recorder() {
	rm -rf "$tmp/storage"
	build/bin/msr-record -d "$tmp/storage" -e /dev/null -i "shm:$ring" >/dev/null 2>"$tmp/record.log" &
	recorder=$!
}
stop_recorder() {
	kill "$recorder" && wait "$recorder" 2>/dev/null
	recorder=
	build/bin/msr-frames rm --force "shm:$ring" >/dev/null 2>&1
}

# What something costs: without it and with it in turns, A B B A, so that a machine that grows slower
# or faster does not count for either. Of each such round the sum of the two with it against that of
# the two without; then the median of the rounds.
#
# pair WHAT KEY GOAL WITHOUT WITH: the last two are functions, and the scenarios that they measure
pair() {
	i=0
	while [ $i -lt "$pairs" ]; do
		for side in "$4" "$5" "$5" "$4"; do
			late && echo "msr-sfu: what $1 adds is left out: no time is left" && return
			"$side"
		done
		i=$((i + 1))
	done
	jq -rs --arg without "$4" --arg with "$5" --arg key "$2" '
		def of(s): [.[] | select(.scenario == s) | .[$key]];
		def median: sort | .[(length - 1) / 2 | floor];
		of($without) as $a | of($with) as $b |
		[range(0; $a | length; 2) | ($b[.] + $b[. + 1]) / ($a[.] + $a[. + 1])] as $r |
		[$a, $b, $r | median] | @tsv' "$json" |
		awk -v what="$1" -v goal="$3" '{
			more = ($3 - 1) * 100
			printf "msr-sfu: %s adds %.1f %% to a packet (%.2f us, %.2f with it); goal %d: %s\n",
				what, more, $1, $2, goal, (more <= goal) ? "met" : "not met" }'
}

# Twenty publishers of an HD picture each, to nobody: what recording costs the call then stands out.
# The ring is small, so that it soon has been used all round, as one is after the first minute of
# calls: first touches are no cost of a packet.
plain() {
	options="--threads 1"
	measure msr plain 20 0 "$seconds" 150 1000 burst gcm
}
recorded() {
	: | build/bin/msr-frames filter --ring-size 1M -o "shm:$ring" >/dev/null
	start_recorder
	options="--threads 1 --record -o shm:$ring"
	measure msr recorded 20 0 "$seconds" 150 1000 burst gcm
	stop_recorder
}
pair recording us_per_packet_in 10 plain recorded

# Estimation of bandwidth: the HD call to receivers that answer with feedback, and to silent ones.
silent() {
	options="--threads 1"
	measure msr silent 1 50 "$seconds" 150 1000 burst gcm silent
}
estimated() {
	options="--threads 1"
	measure msr estimated 1 50 "$seconds" 150 1000 burst gcm
}
pair estimation us_per_packet 10 silent estimated

late && exit
# Fifty calls of two, each of 1.2 Mbit/s both ways, all recorded.
start_recorder
options="--threads 1 --record -o shm:$ring"
start_msr
build/tests/bench/sfu_load msr $address "$port" "$server" 100 100 10 150 1000 burst gcm >"$tmp/line" || exit 1
jq -c '{scenario: "recorded-calls"} + .' "$tmp/line" >>"$json"
dropped=$(curl -sf "http://127.0.0.1:$port/metrics" | awk '/^msr_sfu_record_dropped_total/ { print $2 }')
ticks=$(awk '{ print $14 + $15 }' "/proc/$recorder/stat")
awk -v dropped="$dropped" -v cpu="$(jq .cpu_percent "$tmp/line")" -v lost="$(jq .lost_percent "$tmp/line")" \
	-v ticks="$ticks" -v hz="$(getconf CLK_TCK)" -v kb="$(awk '/^VmHWM/ { print $2 }' "/proc/$recorder/status")" 'BEGIN {
	printf "50 recorded calls of two: msr-sfu %.1f %% of a core, msr-record %.1f s of CPU and %d MiB; %d frames not recorded, %.3f %% lost\n",
		cpu, ticks / hz, kb / 1024, dropped, lost }'
stop
stop_recorder
