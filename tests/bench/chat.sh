#!/bin/sh
# msr-chat beside ngIRCd and mosquitto on the same load in one run: deliveries a second and CPU of
# the server per delivery (flood), latency (paced); and a file to 10 receivers beside sendfile(2)
# alone, upload included. CHAT_SECONDS (2) is the length of each measurement, CHAT_ROUNDS (3) how many
# there are, in turns, CHAT_SIZES (64 128) the bytes of a text; medians are printed, what msr-chat has
# of its peers, and whether each goal is met. About six minutes. A measurement of msr-chat that fails,
# or does not end, makes the exit status 1; a goal that is missed does not, for machines differ.
set -u
seconds=${CHAT_SECONDS:-2} rounds=${CHAT_ROUNDS:-3} sizes=${CHAT_SIZES:-64 128} failed=0
dir=$(mktemp -d "${TMPDIR:-/tmp}/msr-bench-chat-XXXXXX") || exit 1
program=${0%/*}/../../build/tests/bench/chat_load
pid=
trap 'stop; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$dir"
PATH=$PATH:/usr/sbin
# shellcheck disable=SC3045 # dash and bash have it
ulimit -n 4096 2>/dev/null || true

stop() {
	[ "$pid" ] && { kill "$pid"; wait "$pid"; } 2>/dev/null
	pid=
}

load() {
	timeout $((seconds + 60)) "$program" "$@"
}

# Outside the range of ephemeral ports; a taken one makes the server end, and the next is tried.
port=$((22000 + $$ % 8000))

# start NAME: a fresh server on $port; $pid and $proto are its.
start() {
	for _ in 1 2 3 4 5; do
		port=$((port + 1))
		case $1 in
		msr-chat)
			proto=msr
			msr-chat server --address="127.0.0.1:$port" >"$dir/log" 2>&1 &
			;;
		ngircd)
			proto=irc
			cat >"$dir/ngircd.conf" <<-END
				[Global]
				Name = irc.bench.test
				Info = bench
				Listen = 127.0.0.1
				Ports = $port
				ServerUID = irc
				ServerGID = irc
				[Limits]
				MaxConnections = 0
				MaxConnectionsIP = 0
				MaxJoins = 0
				MaxPenaltyTime = 0
				PingTimeout = 3600
				[Options]
				DNS = no
				Ident = no
				PAM = no
				[Operator]
				Name = load
				Password = load
			END
			ngircd -n -f "$dir/ngircd.conf" >"$dir/log" 2>&1 &
			;;
		mosquitto)
			proto=mqtt
			cat >"$dir/mosquitto.conf" <<-END
				listener $port 127.0.0.1
				allow_anonymous true
				persistence false
				set_tcp_nodelay true
				sys_interval 0
				log_type none
				max_queued_messages 0
			END
			mosquitto -c "$dir/mosquitto.conf" >"$dir/log" 2>&1 &
			;;
		esac
		pid=$!
		for _ in $(seq 20); do
			kill -0 $pid 2>/dev/null || break
			curl -s --max-time 1 "telnet://127.0.0.1:$port" </dev/null >/dev/null 2>&1
			[ $? -ne 7 ] && return 0
			sleep 0.1
		done
		stop
	done
	echo "$1 does not start:" >&2
	cat "$dir/log" >&2
	return 1
}

# The median of each column of a file with one measurement a line.
medians() {
	awk '{ for (i = 1; i <= NF; i++) v[i, NR] = $i; n = NF }
		END { for (c = 1; c <= n; c++) {
			for (i = 1; i <= NR; i++) a[i] = v[c, i]
			for (i = 1; i <= NR; i++) for (j = i + 1; j <= NR; j++) if (a[j] < a[i]) { t = a[i]; a[i] = a[j]; a[j] = t }
			printf "%s%s", a[int((NR + 1) / 2)], c < n ? " " : "\n" } }' "$1"
}

# In turns, so that a neighbour's load hits all alike.
each() {
	rm -f "$dir"/result-*
	for _ in $(seq "$rounds"); do
		for server in msr-chat ngircd mosquitto; do
			# shellcheck disable=SC2086 # $2 is a list of arguments
			if ! { start $server && load "$1" $proto "$port" "$pid" $2 >>"$dir/result-$server"; }; then
				echo "$server failed" >&2
				[ $server = msr-chat ] && failed=1
			fi
			stop
		done
	done
}

# table FORMAT: a line for each server, then what msr-chat has of each column of its peers.
table() {
	for server in msr-chat ngircd mosquitto; do
		[ -s "$dir/result-$server" ] || continue
		# shellcheck disable=SC2046,SC2059 # as many columns as the format has
		printf "%-16s %-10s $1\n" "$receivers receivers" $server $(medians "$dir/result-$server")
	done
	for peer in ngircd mosquitto; do
		if [ ! -s "$dir/result-msr-chat" ] || [ ! -s "$dir/result-$peer" ]; then continue; fi
		echo "$(medians "$dir/result-msr-chat") $(medians "$dir/result-$peer")" |
			awk -v peer=$peer '{ n = NF / 2; for (i = 1; i <= n; i++) $i = $(n + i) > 0 ? sprintf("%.2f", $i / $(n + i)) : "-"
				NF = n; print "of", peer ":", $0 }' >"$dir/part"
		# shellcheck disable=SC2046,SC2059
		printf "%16s %-10s $1\n" $(cat "$dir/part")
	done
}

# What a server has in that column, or nothing: median SERVER COLUMN
median() {
	[ -s "$dir/result-$1" ] && medians "$dir/result-$1" | cut -d ' ' -f "$2"
}

# goal WHAT HAVE OPERATOR WANT: says whether it is met.
goal() {
	verdict=missed
	if [ ! "$2" ] || [ ! "$4" ]; then
		verdict='not measured'
	elif awk -v have="$2" -v want="$4" "BEGIN { exit !(have + 0 $3 want + 0) }"; then
		verdict=met
	fi
	printf '%16s goal %-12s %s: %s %s %s\n' '' "$verdict" "$1" "${2:--}" "$3" "${4:--}"
}

# part NUMBER FACTOR: that part of it.
part() {
	[ "$1" ] && awk -v n="$1" -v f="$2" 'BEGIN { print n * f }'
}

for size in $sizes; do
	printf '%-16s %-10s %14s %16s\n' "flood, $size B" server deliveries/s "CPU us/delivery"
	for receivers in 10 100 1000; do
		each flood "$receivers 4 32 $size $seconds"
		table '%14s %16s'
		goal 'more deliveries/s than ngIRCd' "$(median msr-chat 1)" '>' "$(median ngircd 1)"
		goal '0.8 of its CPU a delivery' "$(median msr-chat 2)" '<=' "$(part "$(median ngircd 2)" 0.8)"
	done
done
size=${sizes%% *}

printf '\n%-16s %-10s %8s %8s %8s %10s\n' "paced, 10,000/s" server "p50 ms" "p99 ms" "p99.9 ms" "CPU us"
for receivers in 10 100 1000; do
	each paced "$receivers $((10000 / receivers)) $size $seconds"
	table '%8s %8s %8s %10s'
	goal 'p99 below 5 ms' "$(median msr-chat 2)" '<' 5
	goal "p99 below mosquitto's" "$(median msr-chat 2)" '<' "$(median mosquitto 2)"
done

megabytes=${CHAT_FILE_MB:-512}
rm -f "$dir"/result-*
for _ in $(seq "$rounds"); do
	start msr-chat && load file "$port" "$pid" 10 "$megabytes" >"$dir/chat"
	status=$?
	stop
	if [ $status -ne 0 ] || ! load sendfile 10 "$megabytes" >"$dir/sendfile"; then
		failed=1
		continue
	fi
	cat "$dir/chat" >>"$dir/result-chat"
	cat "$dir/sendfile" >>"$dir/result-sendfile"
	cat "$dir/chat" "$dir/sendfile" | awk 'NR == 1 { mine = $1 } END { if ($1) print mine / $1 }' >>"$dir/result-part"
done
[ -s "$dir/result-chat" ] || exit 1
printf '\n%-27s %10s %10s %14s\n' "file, $megabytes MiB to 10" "MB/s" "CPU s/GB" "peak RSS KiB"
# shellcheck disable=SC2046,SC2183 # columns
printf '%-27s %10s %10s %14s\n' msr-chat $(medians "$dir/result-chat")
# shellcheck disable=SC2046,SC2183
printf '%-27s %10s %10s\n' "sendfile(2) alone" $(medians "$dir/result-sendfile")
printf '%27s %10.2f\n' "of sendfile(2):" "$(medians "$dir/result-part")"
goal 'half of sendfile(2)' "$(median part 1)" '>=' 0.5
goal 'resident memory below 64 MiB' "$(median chat 3)" '<' 65536
[ $failed -eq 0 ]
