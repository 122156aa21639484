#!/usr/bin/env bats
# msr-supervise(8) with played programs: start, watch, restart, stop, and what a crash leaves.
# shellcheck disable=SC2030,SC2031 # each test has its own variables
# takes 110 s

bats_require_minimum_version 1.5.0
load ../support/common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	mkdir bin fakes
	export FAKES=$PWD/fakes dir=$PWD/data
	# It looks at its children more often than in life, and judges them as slowly.
	sed 's/^tick=.*/tick=0.1/; s/^health_ticks=.*/health_ticks=100/; s/^calm_ticks=.*/calm_ticks=600/' \
		"$BATS_TEST_DIRNAME/../../build/bin/msr-supervise" >bin/msr-supervise
	chmod +x bin/msr-supervise
	for name in record taskscan audiod sfu chat ws; do
		cp "$SUPPORT/fake-program" "bin/msr-$name"
	done
	PATH=$PWD/bin:$PATH
	export MSR_ONLY="ws record" # two are soon up and down; where it matters a test has others
	new_ports
}

teardown() {
	rm -f fakes/*.*
	msr-supervise stop -d "$dir" >/dev/null 2>&1 || true
	rm -f "/dev/shm/msr-$(ring_prefix)"-*
	stop_all
}

new_ports() {
	local ports
	read -ra ports < <(free_ports 6)
	export MSR_WS_PORT=${ports[0]} MSR_SFU_PORT=${ports[1]} MSR_AUDIOD_PORT=${ports[2]}
	export MSR_AUDIOD_HEALTH_PORT=${ports[3]} MSR_CHAT_PORT=${ports[4]} MSR_CHAT_METRICS_PORT=${ports[5]}
}

supervise() {
	msr-supervise "$@" -d "$dir" 3>&-
}

# The pid of a program, from status.
pid_of() {
	supervise status | awk -v name="$1" '$1 == name { print $3 }'
}

is_in_state() {
	supervise status | grep -qE "^$1 +$2 "
}

starts() {
	wc -l <"fakes/$1.starts"
}

# Quietly: otherwise grep's exit status is 2, whatever it finds, where that of some process cannot be read.
no_process_left() {
	! grep -qsxzF "MSR_SYSTEM=$dir" /proc/[0-9]*/environ
}

# Nothing of this system is left: processes, rings, FIFOs.
nothing_left() {
	no_process_left && ! compgen -G "/dev/shm/msr-$(ring_prefix)-*" && [ -z "$(find "$dir" -type p)" ]
}

ring_prefix() {
	echo "sys$(printf %s "$dir" | cksum | cut -d' ' -f1)"
}

@test "run starts in order, says what is healthy and where the page is, and stops cleanly" {
	unset MSR_ONLY
	start run supervise run
	wait_for 15 grep -q "Open http://127.0.0.1:$MSR_WS_PORT/" run.log
	[ "$(grep -c ' healthy$' run.log)" = 6 ]
	[ -p "$dir/run/events" ]
	supervise status
	kill -INT "$(cut -d' ' -f1 "$dir/run/supervisor")"
	ended_well "$PID"
	grep -qx stopped run.log
	# Producers first, then the recorder, then what follows it.
	[ "$(tail -n 2 fakes/stopped | xargs)" = "msr-record msr-taskscan" ]
	[ "$(jq -r .src "$dir/log/events.jsonl" | sort -u | wc -l)" = 6 ]
	nothing_left
}

@test "each producer has a ring of its own, and the recorder reads them all" {
	unset MSR_ONLY
	supervise start -v
	[ "$(cat fakes/*.starts | grep -c -- ' -v$')" = 6 ]
	for name in ws sfu audiod; do
		grep -q -- "-o shm:$(ring_prefix)-$name" "fakes/msr-$name.starts"
		grep -q -- "-i shm:$(ring_prefix)-$name" fakes/msr-record.starts
	done
	supervise stop
	nothing_left
}

@test "calls are recorded unless that is turned off, or nobody takes the recordings" {
	export MSR_ONLY="sfu audiod record"
	run env MSR_RECORD_CALLS=false bin/msr-supervise start -d "$dir"
	[ "$status" -eq 1 ]
	[[ $output == *"neither yes nor no"* ]]
	supervise start
	grep -q -- " --record -o shm:$(ring_prefix)-sfu1 " fakes/msr-sfu.starts
	supervise stop
	: >"/dev/shm/msr-$(ring_prefix)-sfu1" # of before
	MSR_RECORD_CALLS=no supervise start
	tail -n 1 fakes/msr-sfu.starts | grep -v -e --record | grep -v shm:
	tail -n 1 fakes/msr-audiod.starts | grep -q "shm:$(ring_prefix)-audiod"
	tail -n 1 fakes/msr-record.starts | grep -q -- " -i shm:$(ring_prefix)-sfu1 -i shm:$(ring_prefix)-audiod "
	rm "/dev/shm/msr-$(ring_prefix)-sfu1"
	supervise stop
	MSR_ONLY="sfu audiod" supervise start
	tail -n 1 fakes/msr-sfu.starts | grep -v -e --record | grep -v shm:
	tail -n 1 fakes/msr-audiod.starts | grep -v shm:
	supervise stop
	nothing_left
}

@test "rooms to be mixed reach the recorder, nonsense does not" {
	run env MSR_RECORD_MIX='r*' bin/msr-supervise start -d "$dir"
	[ "$status" -eq 1 ]
	[[ $output == *"names of rooms are"* ]]
	MSR_RECORD_MIX="lobby r2" supervise start
	grep -q -- "--record-mix lobby --record-mix r2" fakes/msr-record.starts
	supervise stop
	nothing_left
}

@test "further options reach their program, split at blanks only; one with TLS becomes healthy too" {
	unset MSR_ONLY
	export MSR_WS_OPTIONS='--trust-proxy --allow-origin *' MSR_SFU_OPTIONS='--max-rooms 3' MSR_RECORD_OPTIONS='--finishers 4'
	export MSR_TASKSCAN_OPTIONS='--tries 5' MSR_AUDIOD_OPTIONS='--workers 1' MSR_CHAT_OPTIONS='--history 20'
	supervise start
	grep -q -- ' --trust-proxy --allow-origin \*$' fakes/msr-ws.starts
	grep -q -- ' --max-rooms 3$' fakes/msr-sfu.starts
	grep -q -- ' --finishers 4$' fakes/msr-record.starts
	grep -q -- ' --tries 5$' fakes/msr-taskscan.starts
	grep -q -- ' --workers 1$' fakes/msr-audiod.starts
	grep -q -- ' --history 20$' fakes/msr-chat.starts
	supervise stop
	cp "$BATS_TEST_DIRNAME/../../build/bin/msr-ws" bin/
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -subj /CN=localhost 2>/dev/null
	MSR_ONLY=ws MSR_WS_OPTIONS="--tls-cert $PWD/cert.pem --tls-key $PWD/key.pem --page $PWD" supervise start >out
	grep -q "Open https://127.0.0.1:$MSR_WS_PORT/" out
	supervise stop
}

@test "PUBLIC_IP of msr.conf reaches msr-sfu, and the environment wins" {
	cp "$BATS_TEST_DIRNAME/../../build/bin/msr-sfu" bin/
	announced() {
		local url=http://127.0.0.1:$MSR_SFU_PORT
		curl -sf -X POST "$url/rooms" -d '{"room_id":"r"}' >/dev/null
		curl -sf -X POST "$url/rooms/r/users/ann" | jq -r .offer | grep -oE '203\.0\.113\.[0-9]+ [0-9]+ typ host' | cut -d' ' -f1 | sort -u
	}
	mkdir "$dir"
	echo "PUBLIC_IP=203.0.113.7" >"$dir/msr.conf"
	export MSR_ONLY=sfu
	supervise start
	[ "$(announced)" = 203.0.113.7 ]
	supervise stop
	PUBLIC_IP=203.0.113.8 supervise start
	[ "$(announced)" = 203.0.113.8 ]
	supervise stop
}

@test "an address of IPv6 stands in brackets wherever a port follows" {
	[ -e /proc/net/if_inet6 ] || skip "there is no IPv6 here"
	unset MSR_ONLY
	export MSR_ADDRESS=::1 MSR_CHAT_ROOM=lobby
	cp "$BATS_TEST_DIRNAME/../../build/bin/msr-chat" bin/
	supervise start >out
	grep -qF "Open http://[::1]:$MSR_WS_PORT/" out
	grep -qF -- "--sfu-url http://[::1]:$MSR_SFU_PORT --audiod-url ws://[::1]:$MSR_AUDIOD_PORT" fakes/msr-ws.starts
	tr '\0' '\n' <"/proc/$(pid_of msr-chat)/cmdline" | grep -qxF "ws://[::1]:$MSR_WS_PORT/lobby/chat"
	echo hello | msr-chat client -a "[::1]:$MSR_CHAT_PORT" -u ann >said
	supervise stop
}

@test "what is not built or not wanted is skipped" {
	rm bin/msr-chat bin/msr-audiod
	mkdir empty
	run env PATH="/usr/bin:/bin" MSR_ONLY="ws record msr-audiod" bin/msr-supervise start -d "$dir"
	[ "$status" -eq 0 ]
	[[ $output == *"msr-audiod    skipped: not built"* ]]
	[[ $output != *msr-chat* && $output != *msr-sfu* ]]
	[ ! -e fakes/msr-sfu.starts ]
	run ! grep -q audiod fakes/msr-record.starts
}

@test "a program that dies is started again, with growing pauses" {
	supervise start
	for i in 1 2 3; do
		kill -9 "$(pid_of msr-ws)"
		restarted() { [ "$(starts msr-ws)" -gt "$i" ] && is_in_state msr-ws healthy; }
		wait_for 20 restarted
	done
	supervise status | grep -E '^msr-ws +healthy +[0-9]+ +[0-9]+ s +3$'
	[ "$(starts msr-record)" = 1 ]
	grep -q 'msr-ws was killed by signal 9; starting it again in 1 s' "$dir/log/supervise.log"
	grep -q 'starting it again in 2 s' "$dir/log/supervise.log"
	grep -q 'msr-ws is healthy again' "$dir/log/supervise.log"
}

@test "a program that does not start is named, with the end of its log" {
	MSR_ONLY="record sfu"
	touch fakes/msr-sfu.fail
	run supervise start
	[ "$status" -eq 1 ]
	[[ $output == *"msr-sfu       does not become healthy"* ]]
	[[ $output == *"cannot open the thing"* ]]
	nothing_left
}

@test "a port that is taken is named, with the setting to change" {
	MSR_ONLY="ws chat"
	start listener "$PYTHON" -c "
import socket, time
s = socket.create_server(('127.0.0.1', $MSR_CHAT_PORT))
open('listening', 'w').close()
time.sleep(1000)"
	wait_for 5 [ -e listening ]
	run supervise start
	[ "$status" -eq 1 ]
	[[ $output == *"port $MSR_CHAT_PORT for msr-chat is taken by another program"*MSR_CHAT_PORT=*" in the environment" ]]
	echo "MSR_CHAT_PORT=$MSR_CHAT_PORT" >>"$dir/msr.conf"
	run env -u MSR_CHAT_PORT msr-supervise start -d "$dir"
	[ "$status" -eq 1 ]
	[[ $output == *MSR_CHAT_PORT=*" in $dir/msr.conf" ]]
	nothing_left
}

@test "restart ends one program in order and starts it again" {
	MSR_ONLY="record ws" # the one to restart is not the last
	supervise start
	old=$(pid_of msr-record)
	supervise restart record
	[ "$(starts msr-record)" = 2 ]
	[ "$(pid_of msr-record)" != "$old" ]
	[ "$(cat fakes/stopped)" = msr-record ]
	supervise status | grep -qE '^msr-record .* 1$'
	# It waits until the new process is healthy: the metrics of the last one are no sign of that.
	touch fakes/msr-record.hang
	start restart msr-supervise restart record -d "$dir"
	again() { [ "$(starts msr-record)" = 3 ]; }
	wait_for 10 again
	[ ! -e "$dir/run/msr-record.prom" ]
	kill -0 "$PID"
	rm fakes/msr-record.hang
	ended_well "$PID"
	run supervise restart nonsense
	[ "$status" -eq 1 ]
	[[ $output == *"'nonsense' is not running here"* ]]
}

@test "one that ignores the stop is killed in the end; a second signal hurries" {
	MSR_ONLY="ws sfu record"
	touch fakes/msr-ws.deaf
	start run supervise run
	wait_for 15 grep -q "Open " run.log
	supervisor=$(cut -d' ' -f1 "$dir/run/supervisor")
	kill -TERM "$supervisor"
	wait_for 5 grep -q msr-sfu fakes/stopped
	kill -TERM "$supervisor"
	wait_gone "$PID" 10
	grep -qx stopped run.log
	nothing_left
}

@test "killed with kill -9, the next start ends the orphans and goes on" {
	MSR_ONLY="ws record taskscan"
	touch fakes/msr-record.child
	supervise start
	orphans=$(grep -lsxzF "MSR_SYSTEM=$dir" /proc/[0-9]*/environ | cut -d/ -f3)
	kill -9 "$(cut -d' ' -f1 "$dir/run/supervisor")"
	wait_for 3 bash -c "! msr-supervise status -d '$dir'"
	rm fakes/msr-record.child
	run supervise start
	[ "$status" -eq 0 ]
	[[ $output == *"ending what an interrupted run left behind"* ]]
	for pid in $orphans; do
		if ! is_gone "$pid" && grep -qsxzF "MSR_SYSTEM=$dir" "/proc/$pid/environ"; then
			echo "process $pid of the interrupted run is still there"
			false
		fi
	done
	[ "$(tail -n 2 fakes/stopped | xargs)" = "msr-record msr-taskscan" ]
	[ "$(starts msr-ws)" = 2 ]
	supervise status
	supervise stop
	nothing_left
}

@test "killed with kill -9, stop cleans up; a reused process id is not harmed" {
	touch fakes/msr-record.deaf
	supervise start
	start restart supervise restart record
	wait_for 5 [ -e "$dir/run/record.restart" ]
	kill -9 "$(cut -d' ' -f1 "$dir/run/supervisor")"
	status=0
	wait "$PID" || status=$?
	[ "$status" -eq 1 ]
	grep -q 'the supervisor has ended' restart.log
	# An innocent process with the recorded pid, as if the kernel had given it out again.
	start innocent sleep 100
	echo "$PID 1" >"$dir/run/supervisor"
	supervise stop
	kill -0 "$PID"
	nothing_left
}

@test "killed with kill -9, supervisor and programs leave no process" {
	supervise start
	pids=$(supervise status | awk '$3 ~ /^[0-9]+$/ && $1 != "events" { print $3 }')
	collector=$(pid_of events)
	kill -9 "$(cut -d' ' -f1 "$dir/run/supervisor")"
	# As long as there are programs there are events.
	echo '{"ev":"late"}' >>"$dir/run/events"
	wait_for 5 grep -q late "$dir/log/events.jsonl"
	kill -0 "$collector"
	# shellcheck disable=SC2086
	kill -9 $pids
	wait_for 5 no_process_left
}

@test "a ring with what is not recorded yet outlives the stop, which says so" {
	MSR_ONLY="ws sfu record"
	supervise start
	ring=$(ring_prefix)-ws
	rm "/dev/shm/msr-$ring"
	echo media >media
	msr-frames make --room r --session s --codec opus -o "shm:$ring" media
	run supervise stop
	[ "$status" -eq 1 ]
	[[ $output == *"shm:$ring stays"*"msr-frames rm --force shm:$ring"* ]]
	no_process_left
	# The others are gone, and so they are after a crash.
	others_gone() { ! compgen -G "/dev/shm/msr-$(ring_prefix)-*" | grep -qv "$ring"; }
	others_gone
	run supervise stop
	[ "$status" -eq 1 ]
	[[ $output == *"shm:$ring stays"*"it is not running"* ]]
	start run supervise run
	wait_for 15 grep -q "Open " run.log
	kill -INT "$(cut -d' ' -f1 "$dir/run/supervisor")"
	status=0
	wait "$PID" || status=$?
	[ "$status" -eq 1 ]
	grep -q "shm:$ring stays" run.log
	msr-frames dump -i "shm:$ring" --no-wait | grep -q audio
	supervise stop
	nothing_left
}

@test "stop ends what programs left behind" {
	MSR_ONLY="record taskscan"
	touch fakes/msr-taskscan.child
	supervise start
	supervise stop
	nothing_left
	grep -q 'killing what the programs left behind' "$dir/log/supervise.log"
}

@test "two systems run side by side, but not two in one folder" {
	supervise start
	run supervise run
	[ "$status" -eq 1 ]
	[[ $output == *"in use by another supervisor"* ]]
	first=$dir
	dir=$PWD/other
	new_ports
	supervise start
	kill -9 "$(cut -d' ' -f1 "$dir/run/supervisor")"
	supervise stop
	nothing_left
	dir=$first
	supervise status
	supervise stop
	nothing_left
}

@test "settings: the file is written once, the environment wins, mistakes are named" {
	MSR_ONLY="ws sfu taskscan"
	supervise start
	supervise stop
	grep -q '^#MSR_WS_PORT=8000' "$dir/msr.conf"
	# shellcheck disable=SC2016 # must stay as it is
	echo 'MSR_TASK_COMMAND=echo "$(touch oops)" `touch oops`; :' >>"$dir/msr.conf"
	echo "MSR_WS_PORT=1" >>"$dir/msr.conf"
	supervise start
	# shellcheck disable=SC2016
	grep -qF -- '--exec echo "$(touch oops)" `touch oops`; :' fakes/msr-taskscan.starts
	[ ! -e oops ]
	supervise stop
	echo "MSR_PORT_WS=1" >>"$dir/msr.conf"
	run supervise start
	[ "$status" -eq 1 ]
	[[ $output == *"'MSR_PORT_WS=1' is not a setting"* ]]
	sed -i /MSR_PORT_WS/d "$dir/msr.conf"
	MSR_SFU_PORT=70000 run supervise start
	[[ $output == *"MSR_SFU_PORT=70000 is not a port; change it in the environment" ]]
	MSR_SFU_PORT=$MSR_WS_PORT run supervise start
	[[ $output == *"is used twice"* ]]
	MSR_ONLY="ws nonsense" run supervise start
	[[ $output == *"MSR_ONLY names 'nonsense'"* ]]
}

@test "a program that hangs is killed and started again" {
	# Health checks come more often than in life, one a second.
	sed -i 's/^health_ticks=.*/health_ticks=10/' bin/msr-supervise
	MSR_ONLY="ws sfu"
	supervise start
	touch fakes/msr-sfu.hang
	hangs() { grep -q 'msr-sfu does not answer; killing it' "$dir/log/supervise.log"; }
	wait_for 20 hangs
	[ "$(grep -c GET fakes/msr-sfu.unanswered)" -ge 3 ]
	run supervise start
	[ "$status" -eq 1 ]
	[[ $output == *"it is already running"*"not everything is healthy"* ]]
	rm fakes/msr-sfu.hang
	wait_for 20 is_in_state msr-sfu healthy
	[ "$(starts msr-sfu)" -ge 2 ]
	supervise start
}

@test "logs are bounded, events are whole lines across the change of files" {
	sed -i 's/^log_max=.*/log_max=20480/' bin/msr-supervise
	supervise start
	for i in $(seq 400); do
		printf '{"n":%d,"text":"%0100d"}\n' "$i" "$i"
	done >"$dir/run/events"
	got_400() { grep -q '"n":400' "$dir/log/events.jsonl"; }
	wait_for 5 got_400
	[ "$(stat -c %s "$dir/log/events.jsonl")" -le 20480 ]
	jq -e . "$dir/log/events.jsonl" "$dir/log/events.jsonl.1" >/dev/null
	head -c 100000 /dev/zero | tr '\0' x | tee -a "$dir/log/msr-ws.log" >>"$dir/log/supervise.log"
	is_bounded() { [ "$(stat -c %s "$dir/log/$1.log")" -lt 20480 ] && [ -e "$dir/log/$1.log.1" ]; }
	wait_for 15 is_bounded msr-ws
	wait_for 15 is_bounded supervise
}

@test "status and logs only read, so that others than the owner may use them" {
	[ "$(id -u)" = 0 ] || skip "needs root, to be somebody else"
	# The folder of the tests is root's alone.
	open=$(mktemp -d)
	chmod 755 "$open"
	cp bin/msr-supervise "$open"
	dir=$open/data
	as_other() { timeout 5 setpriv --reuid 65534 --regid 65534 --clear-groups "$open/msr-supervise" "$@" -d "$dir"; }
	supervise start
	run as_other status
	[ "$status" -eq 0 ]
	[[ $output == *"msr-ws"*"healthy"* ]]
	run as_other logs supervise
	[[ $output == *"msr-ws"*"healthy"* ]]
	run as_other stop
	[ "$status" -eq 1 ]
	[[ $output == *"may not write in '$dir', which belongs to root"* ]]
	chmod 700 "$dir"
	for what in status stop; do
		run as_other $what
		[ "$status" -eq 1 ]
		[[ ${lines[0]} == *"may not look into '$dir'"* ]]
	done
	supervise stop
	dir=$open/other run as_other start
	[ "$status" -eq 1 ]
	[[ ${lines[0]} == *"cannot make the folders in '$open/other': "*"ermission denied" ]]
	[ "${#lines[@]}" -eq 1 ]
	rm -r "$open"
}

@test "the folder, and that of the rings, may have blanks and quotes in its name" {
	dir="$PWD/a b'c"
	export MSR_RING_DIR="$PWD/r i'n"
	mkdir "$MSR_RING_DIR"
	supervise start
	[ -e "$MSR_RING_DIR/msr-$(ring_prefix)-ws" ]
	supervise status
	grep -qF -- "--storage $dir/storage" fakes/msr-ws.starts
	supervise stop
	[ -z "$(ls "$MSR_RING_DIR")" ]
	nothing_left
}

@test "wrong usage exits with 2; status and stop of nothing say so" {
	run supervise
	[ "$status" -eq 2 ]
	run supervise nonsense
	[ "$status" -eq 2 ]
	run supervise status extra
	[ "$status" -eq 2 ]
	# As from -d "$UNSET": / would be filled.
	run msr-supervise start -d ''
	[ "$status" -eq 2 ]
	[[ $output == *"wants a folder"* ]]
	run supervise status
	[ "$status" -eq 1 ]
	[[ $output == *"there is no '$dir'"* ]]
	msr-supervise --help | grep -q MSR_ || msr-supervise --help | grep -q msr.conf
	[ "$(msr-supervise --version)" != "msr-supervise @VERSION@" ]
}
