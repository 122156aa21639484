#!/usr/bin/env bats
# msr-taskscan(1): a task for every finished recording, exactly once; commands with their outcome.
# takes 60 s

load ../support/common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	mkdir storage tasks
}

teardown() {
	stop_all
}

# recording [FOLDER/]NAME [BYTES [DAY]]: a finished recording, NAME.json last. With few programs, as there are hundreds.
recording() {
	local media=storage/$1.mp3 name=${1##*/} sum
	[ -d "${media%/*}" ] || mkdir -p "${media%/*}"
	head -c "${2:-1000}" /dev/urandom >"$media"
	read -r sum _ < <(sha256sum "$media")
	printf '{"room":"r1","session":"%s","start":"%sT00:00:00Z","duration":2.5,"codecs":["mp3"],"bytes":%d,"sha256":"%s"}\n' \
		"${name%~*}" "${3:-2026-01-01}" "${2:-1000}" "$sum" >json.tmp
	mv json.tmp "storage/$1.json"
}

digest() {
	sha256sum <"$1" | cut -d' ' -f1
}

scan() {
	msr-taskscan --settle 0s "$@"
}

there() {
	[ -e "$1" ]
}

count() {
	find tasks -name "$1" | wc -l
}

@test "a finished recording gets its task with the right digest" {
	recording s1
	recording st1/s2~2
	scan
	jq -e '.session == "s1" and .room == "r1" and .name == "s1" and .start == "2026-01-01T00:00:00Z" and (.created | fromdateiso8601? // (.[0:19] + "Z" | fromdateiso8601)) > 0' tasks/s1.task
	jq -e '.session == "s2" and .storage_id == "st1" and .name == "s2~2"' tasks/st1/s2~2.task
	[ "$(jq -r '.files[0] | .path, .kind, .codec, .duration, .bytes, .sha256' tasks/s1.task)" = "$PWD/storage/s1.mp3
audio
mp3
2.5
1000
$(digest storage/s1.mp3)" ]
}

@test "a media file without .json waits until it has settled; its digest is computed" {
	echo hello >storage/s1.webm
	msr-taskscan --settle 60s
	[ ! -e tasks/s1.task ]
	touch -d '61 seconds ago' storage/s1.webm
	msr-taskscan --settle 60s
	[ "$(jq -r '.files[0].sha256' tasks/s1.task)" = "$(digest storage/s1.webm)" ]
	jq -e '.room == null and .files[0].duration == null and .files[0].kind == "video"' tasks/s1.task
	# More of them than the queue holds neither keep a scan from ending nor hide what is finished.
	for n in {1..2100}; do echo "$n" >"storage/n$n.wav"; done
	recording n1
	recording n1050
	recording n2100
	timeout 30 msr-taskscan --settle 1h
	[ "$(count 'n*.task')" = 3 ]
}

@test "recordings under way, side files, files of the chat and empty storages give no task" {
	echo x >storage/.s1.webm.part
	echo x >storage/s1.poster.jpg
	echo '{}' >storage/s1.json
	mkdir storage/chat
	echo x >storage/chat/0123456789abcdef0123456789abcdef-voice.ogg # what people send each other
	scan
	[ "$(count '*.task*')" = 0 ]
	recording chat/s2 # somebody's storage id
	scan
	[ "$(count 's2.task')" = 1 ]
}

@test "exactly once: also after the task was moved or deleted" {
	recording s1
	scan
	rm tasks/s1.task
	scan
	[ ! -e tasks/s1.task ]
	scan --again s1
	[ -e tasks/s1.task ]
	run scan --again ../x
	[ "$status" -eq 2 ]
	[[ $output == *"--again '../x'"* ]]
}

@test "another recording under a name that was used before has a task of its own" {
	recording mix/lobby
	scan
	rm tasks/mix/lobby.task
	mkdir archive
	mv storage/mix/lobby.* archive
	recording mix/lobby 1000 2026-01-02
	scan
	[ "$(jq -r .start tasks/mix/lobby.task)" = 2026-01-02T00:00:00Z ]
	rm tasks/mix/lobby.task
	# Touched, or copied, it is still the same.
	touch storage/mix/lobby.json
	cp storage/mix/lobby.json copy
	mv copy storage/mix/lobby.json
	scan
	[ ! -e tasks/mix/lobby.task ]
	# And so with --watch.
	start scan msr-taskscan --watch --settle 60s
	wait_for 3 grep -q watching scan.log
	mv storage/mix/lobby.* archive
	recording mix/lobby 1000 2026-01-03
	wait_for 3 grep -q 2026-01-03 tasks/mix/lobby.task
}

@test "many scans side by side make each task once" {
	for i in $(seq 40); do recording "s$i" 10; done
	for i in $(seq 8); do scan -e events.jsonl 2>>log & done
	wait
	[ "$(count '*.task')" = 40 ]
	[ "$(jq -r 'select(.ev == "task").session' events.jsonl | sort | uniq -d | wc -l)" = 0 ]
	[ "$(jq -r 'select(.ev == "task").session' events.jsonl | wc -l)" = 40 ]
	[ "$(grep -c ' make ' tasks/.ledger)" = 40 ]
}

@test "killed at any moment: no task is lost, none made twice" {
	for i in $(seq 60); do recording "s$i" 10; done
	mkdir taken
	# A consumer that takes tasks away as they come, while scans are being killed.
	for _ in $(seq 40); do
		scan 2>>log &
		pid=$!
		read -rt "0.0$((RANDOM % 10))$((RANDOM % 10))" <>/dev/null <&1 || true
		kill -9 $pid 2>/dev/null || true
		wait $pid 2>/dev/null || true
		for t in tasks/*.task; do
			[ -e "$t" ] || continue
			jq -e .session "$t" >/dev/null
			[ ! -e "taken/${t##*/}" ]
			mv "$t" taken/
		done
	done
	scan 2>>log
	for t in tasks/*.task; do
		[ -e "$t" ] || continue
		[ ! -e "taken/${t##*/}" ]
		mv "$t" taken/
	done
	[ "$(find taken -name '*.task' | wc -l)" = 60 ]
	[ -z "$(find tasks -name '.*' -type f ! -name .ledger)" ]
}

@test "hostile names, links and huge or broken json disturb nobody" {
	recording good
	recording huge
	recording broken
	touch storage/$'new\nline.mp3' 'storage/a b.mp3' storage/ünï.mp3 storage/-rf~x.mp3 "storage/~2.mp3"
	mkdir storage/'bad dir' storage/deep storage/deep/deeper
	cp storage/good.* 'storage/bad dir/'
	cp storage/good.* storage/deep/deeper/
	head -c 2000000 /dev/zero | tr '\0' ' ' >storage/huge.json
	echo '{"session":' >storage/broken.json
	mkdir outside
	mv storage/broken.mp3 outside/linked.mp3
	ln -s ../outside/linked.mp3 storage/linked.mp3
	ln -s ../outside storage/outside
	mkfifo storage/fifo.mp3
	touch -d '2 minutes ago' storage/huge.mp3
	run msr-taskscan
	[ "$status" -eq 0 ]
	[ "$(cd tasks && find . -name '*.task' | sort | xargs)" = "./good.task ./huge.task" ]
	[[ $output == *"ignoring huge.json: it is longer than 1 MiB"* ]]
	[[ $output == *"'a b.mp3': not named after a session"* ]]
}

@test "a damaged ledger line is skipped with a warning" {
	recording s1
	scan
	echo "2026-01-01T00:00:00.000000Z make s2 00000000" >>tasks/.ledger
	printf 'torn' >>tasks/.ledger
	recording s2
	run scan
	[ "$status" -eq 0 ]
	[[ $output == *"skipped 1 damaged line"* ]]
	[ -e tasks/s2.task ]
	[ "$(tail -n 1 tasks/.ledger | cut -d' ' -f2,3)" = "make s2" ]
}

@test "--watch reacts within a second, also in new folders" {
	recording before
	start scan msr-taskscan --watch --settle 60s -e events.jsonl --metrics metrics
	wait_for 3 there tasks/before.task
	recording s1
	wait_for 1 there tasks/s1.task
	recording new/s2
	wait_for 1 there tasks/new/s2.task
	recording new/s3
	wait_for 1 there tasks/new/s3.task
	mv storage/new storage/renamed
	recording renamed/s4
	wait_for 1 there tasks/renamed/s4.task
	kill "$PID"
	ended_well "$PID"
	jq -e 'select(.ev == "task" and .session == "s4" and .room == "r1")' events.jsonl
	grep -qx 'msr_taskscan_tasks_total 7' metrics
}

@test "on a full disk the metrics file still tells that it lives" {
	metrics_on_full_disk scans_total msr-taskscan --watch
	grep -q 'cannot write.*No space left' msr-taskscan.log
}

@test "--watch goes on when its ledger was removed and for a while could not be made anew" {
	start scan msr-taskscan --watch
	recording s1
	wait_for 3 there tasks/s1.task
	rm tasks/.ledger
	mkdir tasks/.ledger
	recording s2
	wait_for 5 grep -q 'cannot make the task of s2' scan.log
	rmdir tasks/.ledger
	recording s3
	wait_for 5 there tasks/s3.task
}

@test "--watch waits for a file without .json to settle" {
	start scan msr-taskscan --watch --settle 1s
	wait_for 3 there tasks/.ledger
	echo one >storage/s1.wav
	wait_for 4 there tasks/s1.task
	[ "$(jq -r '.files[0].sha256' tasks/s1.task)" = "$(digest storage/s1.wav)" ]
}

@test "--exec runs the command with the task and its environment; the outcome is kept" {
	recording s1
	cat >cmd <<-'END'
		#!/bin/sh
		echo "$# $1 $MSR_TASK $MSR_FILE $MSR_SESSION $MSR_ROOM" >out
	END
	chmod +x cmd
	scan --exec ./cmd -e events.jsonl
	[ "$(cat out)" = "1 $PWD/tasks/s1.task $PWD/tasks/s1.task $PWD/storage/s1.mp3 s1 r1" ]
	[ "$(count '*.task')" = 0 ]
	[ -e tasks/s1.task.done ]
	jq -e 'select(.ev == "task-done" and .room == "r1" and .session == "s1" and .task == "s1.task" and .tries == 1)' events.jsonl
}

@test "a command that fails is tried again, then the task has failed; renamed back it runs again" {
	recording s1
	run scan --exec 'echo x >>tries; false' --tries 3 --backoff 20ms -e events.jsonl
	[ "$status" -eq 1 ]
	[ "$(wc -l <tries)" = 3 ]
	[ -e tasks/s1.task.failed ]
	jq -e 'select(.ev == "task-failed" and .room == "r1" and .session == "s1" and .tries == 3 and .status == 1)' events.jsonl
	mv tasks/s1.task.failed tasks/s1.task
	scan --exec true
	[ -e tasks/s1.task.done ]
}

@test "--jobs bounds what runs at once" {
	for i in $(seq 8); do recording "s$i" 10; done
	cat >cmd <<-'END'
		#!/bin/sh
		mkdir "running.$$"
		ls -d running.* | wc -l >>seen
		sleep 0.1
		rmdir "running.$$"
	END
	chmod +x cmd
	scan --exec ./cmd --jobs 3
	[ "$(count '*.task.done')" = 8 ]
	[ "$(sort -n seen | tail -n 1)" -le 3 ]
	[ "$(sort -n seen | tail -n 1)" -ge 2 ]
}

@test "several processes share the work and run no task twice" {
	for i in $(seq 12); do recording "s$i" 10; done
	for i in 1 2 3; do
		start "w$i" msr-taskscan --watch --exec "sh -c 'echo \$MSR_SESSION >>ran; sleep 0.05'" --jobs 2
	done
	all_done() { [ "$(count '*.task.done')" = 12 ]; }
	wait_for 10 all_done
	[ "$(sort ran | uniq -d | wc -l)" = 0 ]
}

@test "--timeout ends a command that hangs" {
	recording s1
	run scan --exec "trap '' TERM; sleep 100 & wait; sleep 100" --timeout 100ms --tries 1
	[ "$status" -eq 1 ]
	[ -e tasks/s1.task.failed ]
}

@test "SIGTERM waits for the command, a second one kills it with its children" {
	recording s1
	start scan msr-taskscan --watch --tries 1 --exec 'sleep 1000 & echo $! >child; until [ -e go ]; do sleep 0.05; done; kill $!; false'
	wait_for 3 there child
	kill "$PID"
	touch go
	ended_well "$PID" # --watch has done what it is for, whatever becomes of commands
	[ -e tasks/s1.task.failed ]

	recording s2
	rm child go
	start scan msr-taskscan --watch --exec 'sleep 1000 & echo $! >child; wait; :'
	wait_for 3 there child
	kill "$PID"
	wait_for 3 grep -q 'waiting for the commands' scan.log
	kill "$PID"
	wait_gone "$PID"
	wait_gone "$(cat child)"
	[ -e tasks/s2.task ]
}

@test "killed with a command running, the task runs again after a restart" {
	recording s1
	start scan msr-taskscan --watch --exec 'echo $$ >child; exec sleep 1000'
	wait_for 3 there child
	kill -9 "$PID"
	wait_gone "$(cat child)"
	[ -e tasks/s1.task ]
	scan --exec true
	[ -e tasks/s1.task.done ]
}

@test "a storage that is not there is said so; one that goes away ends the watch" {
	run msr-taskscan -d nowhere
	[ "$status" -eq 1 ]
	[[ $output == *"cannot open the storage 'nowhere'"* ]]
	start scan msr-taskscan --watch
	wait_for 3 grep -q watching scan.log
	rmdir storage
	wait_gone "$PID"
	run ended_well "$PID"
	[ "$status" -eq 1 ]
}

@test "a start that fails says why" {
	says_why_not msr-taskscan -d storage -t tasks --watch
}

@test "wrong usage exits with 2, help and version with 0" {
	run msr-taskscan --nonsense
	[ "$status" -eq 2 ]
	run msr-taskscan operand
	[ "$status" -eq 2 ]
	run msr-taskscan --jobs 0
	[ "$status" -eq 2 ]
	msr-taskscan --help | grep -q -- --settle
	msr-taskscan --version
}
