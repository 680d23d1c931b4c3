# The plan of overcommit-oops as a shell carries it out in a guest of virtme-ng. Bash, as root.
# A poll sleeps, so that it does not take the one CPU from what it waits for.
# $1: the directory of rig's programs; $2 $3 $4: parent, step, hog.
state() {
	while read -r key value rest; do
		[ "$key" = State: ] && echo "$value"
	done <"/proc/$1/status"
}
stopped() { until [ "$(state "$1")" = T ]; do sleep 0.1; done; }

"$1/cow-writer" --size="$2" --step="$3" --every=0 &
parent=$!
stopped $parent
kill -CONT $parent
child=
# The file does not end in a newline, so that read fails though it has read.
until [ -n "$child" ]; do read -r child <"/proc/$parent/task/$parent/children" || :; done
child=${child%% *}
stopped "$child"
"$1/hog" --blocks=256K "$4" &
hog=$!
stopped $hog
kill -CONT "$child"
until dmesg | grep -q 'Out of memory: Killed' || [ ! -d "/proc/$child" ]; do sleep 0.1; done
dmesg | grep -E 'Out of memory: Killed|invoked oom-killer'
