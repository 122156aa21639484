# A recording system under load whose processes are killed at random moments; used by
# tests/system/recorder.bats (short) and tests/long/storm.bats. Needs common.bash.

# A supervisor of our own with short pauses, in $PWD/bin, and a system in $dir.
storm_setup() {
	mkdir -p bin
	sed 's/^tick=.*/tick=0.1/; s/^pause_max=.*/pause_max=10/; s/^health_ticks=.*/health_ticks=20/; s/^calm_ticks=.*/calm_ticks=600/' \
		"$BATS_TEST_DIRNAME/../../build/bin/msr-supervise" >bin/msr-supervise
	chmod +x bin/msr-supervise
	PATH=$PWD/bin:$PATH
	dir=$PWD/data
	MSR_WS_PORT=$(free_port)
	export dir MSR_WS_PORT MSR_ONLY="ws record taskscan" MSR_AUDIO=wav
}

supervise() {
	msr-supervise "$@" -d "$dir" 3>&-
}

# Pids of a program of this system: victims NAME. Nothing of others, whatever runs here.
victims() {
	case $1 in
	supervisor) cut -d' ' -f1 "$dir/run/supervisor" ;;
	ffmpeg)
		for pid in $(pgrep -x ffmpeg); do
			grep -qsxzF "MSR_SYSTEM=$dir" "/proc/$pid/environ" && echo "$pid"
		done
		;;
	*) awk '$3 != "-" { print $3 }' "$dir/run/${1#msr-}.state" ;;
	esac 2>/dev/null
}

# kill_one NAME: kill -9, and after the supervisor itself died, a new start.
kill_one() {
	local pid
	pid=$(victims "$1" | head -n 1)
	[ "$pid" ] || return 0
	kill -9 "$pid" 2>/dev/null || return 0
	echo "$(date +%T) killed $1 ($pid)" >>storm.log
	if [ "$1" = supervisor ]; then
		wait_gone "$pid"
		supervise start >>storm.log 2>&1
	fi
}

# storm SECONDS NAME ...: every 0.3 to 2.3 s one of them, at random.
storm() {
	local end=$((SECONDS + $1)) names=("${@:2}")
	while [ $SECONDS -lt $end ]; do
		read -rt "$((RANDOM % 2)).$((RANDOM % 10 + 3))" <> <(:) || true
		kill_one "${names[RANDOM % ${#names[@]}]}"
	done
}

# Every recording of the report is finished: as many .json as media, and no dot files.
all_finished() {
	[ -z "$(find "$dir/storage" -name '.*' -type f)" ] && [ "$(find "$dir/storage" -name '*.json' | wc -l)" -gt 0 ]
}

nothing_left() {
	# Quietly: otherwise grep's exit status is 2 where that of some process cannot be read.
	! grep -qsxzF "MSR_SYSTEM=$dir" /proc/[0-9]*/environ &&
		! compgen -G "/dev/shm/msr-sys$(printf %s "$dir" | cksum | cut -d' ' -f1)-*" &&
		[ -z "$(find "$dir" -type p)" ]
}
