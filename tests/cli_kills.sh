#!/bin/bash
# Killed at random moments, a rank, all ranks or mpirun, also while it saves; gone on with at another number of ranks each
# time: no checkpoint is lost or torn, and the end is that of a run nobody disturbed. KILLS: how many (12; with TEST_LONG=1,
# 200). SEED: of the moments.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

kills=${KILLS:-$([ -n "${TEST_LONG:-}" ] && echo 200 || echo 12)}
RANDOM=${SEED:-7}
text 4000 > text.txt
"$CAROUSEL" pack text --split=0.8,0.2,0 -o data.h5 text.txt 2> /dev/null || exit 99
train=(train data.h5 --cell=gru --hidden=48 --layers=2 --batch=12 --window=10 --rate=0.01 --dropout=0.1 --threads=1 --steps=600
    --save-every=5 --validate-every=40 --keep=2 --quiet)
names() { echo "$(digest "$1/last.h5") $(digest "$1/best.h5")"; }
expect 0 "undisturbed" "$CAROUSEL" "${train[@]}" -o whole
whole=$(names whole)

# Every checkpoint that has a name is whole.
all_whole() {
    local file
    for file in "$1"/*.h5; do
        [ -e "$file" ] || continue
        "$CAROUSEL" show --digest "$file" > /dev/null || return 1
    done
}
# go_on RUN N PROGRAM: starts it in the background; $launcher is mpirun.
go_on() {
    "$MPIRUN" "${launcher_flags[@]}" -n "$2" "$3" "${train[@]}" -o "$1" > /dev/null 2> err &
    launcher=$!
}
# Processes of a launcher, once they are there, or nothing.
processes() {
    local found
    found=$(children "$1" | sort -n)
    [ -n "$found" ] && echo "$found"
}
kill_one() {
    local -a list
    mapfile -t list < <(processes "$launcher")
    [ ${#list[@]} -gt 0 ] || list=("$launcher")
    case $1 in
        rank) kill -9 "${list[RANDOM % ${#list[@]}]}" 2> /dev/null ;;
        all) kill -9 "${list[@]}" 2> /dev/null ;;
        mpirun) kill -9 "$launcher" 2> /dev/null ;;
    esac
}

moments=(written renamed last linked pruned)
victims=(rank all mpirun)
torn=0 ended=0 wrong=0 saving=0 runs=1 tried=()
run=run-1
for ((i = 0; i < kills; i++)); do
    n=$((RANDOM % 4 + 1))
    if ((i % 4 == 3)); then # while it saves, between any two of its names
        moment=${moments[RANDOM % ${#moments[@]}]}
        tried+=("$n:$moment")
        CAROUSEL_FAULT=checkpoint-kill-$moment ranks $n "$CAROUSEL_FAULTS" "${train[@]}" -o $run > /dev/null 2>&1
        ended_with=$?
        saving=$((saving + 1))
    else
        victim=${victims[RANDOM % 3]}
        pause=$(printf '%d.%03d' $((RANDOM % 2)) $((RANDOM % 1000)))
        tried+=("$n:$victim:$pause")
        go_on $run $n "$CAROUSEL"
        sleep "$pause"
        left=$(processes $launcher)
        kill_one $victim
        wait $launcher 2> /dev/null
        ended_with=$?
        # mpirun gone, its ranks end by themselves; no one is to write into a run that the next one goes on with
        for process in $left; do
            for ((k = 0; k < 400; k++)); do
                kill -0 "$process" 2> /dev/null && ! grep -q '^State:.*zombie' "/proc/$process/status" 2> /dev/null || break
                sleep 0.05
            done
        done
    fi
    if ! all_whole $run; then
        torn=$((torn + 1))
        echo "torn after ${tried[-1]}"
    fi
    if [ $ended_with -eq 0 ]; then # it was quicker
        ended=$((ended + 1))
        [ "$(names $run)" = "$whole" ] || wrong=$((wrong + 1))
        runs=$((runs + 1))
        run=run-$runs
    fi
done
expect 0 "the last one goes on to its end" ranks 2 "$CAROUSEL" "${train[@]}" -o $run
[ "$(names $run)" = "$whole" ] || wrong=$((wrong + 1))
echo "killed $((kills - ended)) times ($saving of them while it saved), $runs runs, $ended ends came first: ${tried[*]}"
check "it was killed more often than not" test $((2 * ended)) -lt "$kills"
equal "no checkpoint is torn" $torn 0
equal "every end is that of a run nobody disturbed" $wrong 0

finish
