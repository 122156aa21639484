#!/bin/sh
# The recorder without msr-supervise: two programs and a pipe, and a task for each recording.
# Usage: pipeline.sh [FOLDER]; Ctrl-C ends it, and what was being recorded is finished.
#
# Over a pipe an acknowledgement means "written to the pipe". Where nothing may be lost even when
# msr-record is killed, put a ring in its place:
#
#	msr-record -i shm:demo -d storage & msr-ws -o shm:demo
set -eu
cd "${1:-.}"
mkdir -p storage tasks

msr-taskscan --watch &
scan=$!
# It may end before msr-record, so the last tasks are made afterwards.
trap 'kill $scan 2>/dev/null || :; wait $scan; msr-taskscan' EXIT
trap : INT TERM # the programs get it too, and end in their own time

msr-ws -p "${MSR_WS_PORT:-8000}" --storage storage -o - -e events.jsonl |
	msr-record -d storage -i - -e events.jsonl
