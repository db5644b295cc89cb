#!/bin/bash
# last.h5 and best.h5 are what they should be, whenever a run was killed and whatever became of its folder; starting
# over where RUN is a link; what a person is told to type can be typed.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99

text 4000 > text.txt
"$CAROUSEL" pack text --split=0.8,0.2,0 -o data.h5 text.txt 2> /dev/null || exit 99

train=(train data.h5 --cell=gru --hidden=9 --layers=1 --batch=9 --window=8 --rate=0.01 --threads=1 --save-every=10
    --validate-every=10 --keep=1)
files() { find "$1" -name '*.h5*' -printf '%f\n' | LC_ALL=C sort | tr '\n' ' '; }
names() { echo "$(digest "$1/last.h5") $(digest "$1/best.h5")"; }
expect 0 "undisturbed, to step 20" "$CAROUSEL" "${train[@]}" --steps=20 -o before
expect 0 "and to step 30" "$CAROUSEL" "${train[@]}" --steps=30 -o middle
expect 0 "and to step 50" "$CAROUSEL" "${train[@]}" --steps=50 -o whole
middle=$(names middle)
whole=$(names whole)
sed -n 's/.*"validation_loss": \([^,}]*\)}.*/\1/p' whole/metrics.jsonl > losses
equal "a validation every ten steps" "$(wc -l < losses)" 5
check "each validation is the best so far" sort -rgcu losses
# The same where there are no hard links.
CAROUSEL_FAULT=checkpoint-no-links "$CAROUSEL_FAULTS" "${train[@]}" --steps=20 --quiet -o before-no-links || exit 99

# ---- killed in the save of step 30 ----

# Without links, where the run has more to do: it puts names right before anything else, as it is pruned later.
for moment in written renamed last linked pruned; do
    rm -rf run
    cp -a before-no-links run
    run env CAROUSEL_FAULT=checkpoint-no-links,checkpoint-kill-$moment "$CAROUSEL_FAULTS" "${train[@]}" --steps=50 -o run
    equal "killed: $moment" "$status" 137
    run env CAROUSEL_FAULT=checkpoint-no-links "$CAROUSEL_FAULTS" "${train[@]}" --steps=50 -o run
    equal "$moment: it goes on" "$status" 0
    equal "$moment: both names are right" "$(names run)" "$whole"
    equal "$moment: nothing else is left" "$(files run)" "best.h5 last.h5 step-00000050.h5 "
done

# With links, and where nothing is left to do after that save: before each call that gives or takes a name.
if command -v strace > /dev/null && strace -qq -o /dev/null true 2> /dev/null; then
    calls=rename,link,unlink,renameat,linkat,unlinkat,renameat2
    rm -rf run
    cp -a before run
    strace -f -qq -e trace="$calls" -o log "$CAROUSEL" "${train[@]}" --steps=30 --quiet -o run 2> /dev/null
    grep -n '"run/[sbl].*h5' log > ours
    good=0
    while IFS=: read -r at _; do
        read -r thread call < <(sed -n "${at}s/^\([0-9]*\) *\([a-z0-9]*\)(.*/\1 \2/p" log)
        when=$(head -n "$at" log | grep -c "^$thread *$call(") # each thread counts its own
        rm -rf run
        cp -a before run
        run strace -f -qq -e trace="$call" -e inject="$call:signal=KILL:when=$when" -o log2 \
            "$CAROUSEL" "${train[@]}" --steps=30 --quiet -o run
        if "$CAROUSEL" "${train[@]}" --steps=30 --quiet -o run && [ "$status" = 137 ] && [ "$(names run)" = "$middle" ]; then
            good=$((good + 1))
        else
            sed -n "${at}p" log
        fi
    done < ours
    check "a save gives and takes names" test "$good" -ge 8
    equal "killed at each of them, it ends with the same names" "$good" "$(wc -l < ours)"
else
    skip "kills at each system call: strace is missing (on Debian: apt-get install strace), or may not trace"
fi

# ---- a disk that is full when best.h5 is copied ----

full=checkpoint-no-links,checkpoint-full-best
rm -rf run
cp -a before-no-links run
run env CAROUSEL_FAULT="$full" "$CAROUSEL_FAULTS" "${train[@]}" --steps=50 -o run
equal "no room for best.h5" "$status" 73
equal "warned of once" "$(grep -c '^carousel: warning: ' "$err")" 1
says "where" "$err" "run/best.h5: can't be made: No space left on device"
says "and what is whole" "$err" "run/step-00000030.h5 is whole"
check "nothing was pruned" test -e run/step-00000020.h5
check "the best is there" test -e run/step-00000030.h5
before=$(ls run)
run env CAROUSEL_FAULT="$full" "$CAROUSEL_FAULTS" "${train[@]}" --steps=50 -o run
equal "still no room: nothing goes on" "$status" 73
equal "and nothing is pruned" "$(ls run)" "$before"
run env CAROUSEL_FAULT=checkpoint-no-links "$CAROUSEL_FAULTS" "${train[@]}" --steps=50 -o run
equal "when there is room" "$status" 0
says "it says what it does" "$err" "put right: run/best.h5 is"
equal "all is right" "$(names run)" "$whole"

# ---- names that are torn, or gone ----

for name in last best; do
    rm -rf run
    cp -a middle run
    rm run/$name.h5
    head -c 1000 run/step-00000030.h5 > run/$name.h5
    expect 0 "a torn $name.h5" "$CAROUSEL" "${train[@]}" --steps=30 -o run
    equal "is made anew" "$(names run)" "$middle"
    rm run/$name.h5
    expect 0 "$name.h5 is gone" ranks 2 "$CAROUSEL" "${train[@]}" --steps=30 -o run
    equal "and made anew" "$(names run)" "$middle"
done

# The best is gone for good: what is praised, and what comes next, are there.
{ text 3200 && printf 'z%.0s' {1..800}; } > odd.txt
"$CAROUSEL" pack text --split=0.8,0.2,0 -o odd.h5 odd.txt 2> /dev/null
rising=("${train[@]/data.h5/odd.h5}" --keep=2 --steps=30)
"$CAROUSEL" "${rising[@]}" --quiet -o up || exit 99
check "the best is not the last" test "$(digest up/best.h5)" != "$(digest up/last.h5)"
check "and its step file is gone" test ! -e up/step-00000010.h5
rm up/best.h5
expect 0 "the best is lost" "$CAROUSEL" "${rising[@]}" -o up
says "it says so" "$err" "of step 10"
says "and what takes the name" "$err" "put right: up/best.h5 is"
says "and comes next" "$err" "next: carousel sample up/best.h5"
best=$(digest up/best.h5)
expect 0 "again" "$CAROUSEL" "${rising[@]}" -o up
equal "that is how it stays" "$(digest up/best.h5)" "$best"

# ---- what comes next can be typed ----

# next_works NAME: what the last command said comes next ends well.
next_works() {
    local next
    next=$(sed -n 's/^next: carousel /"$CAROUSEL" /p' "$err" | sed 's/--length=500/--length=5/; s/ -o run$/ -o "run $RANDOM" --steps=1/')
    differ "$1: something comes next" "${next:-none}" none || return
    expect 0 "$1: $next" bash -c "$next"
}
"$CAROUSEL" pack text --split=1,0,0 -o none.h5 text.txt 2> /dev/null
expect 0 "without validation" "$CAROUSEL" train none.h5 --hidden=5 --steps=1 -o none
says "the last one" "$err" "next: carousel sample none/last.h5"
next_works "without validation"
for name in "a b;c" "it's" '-$HOME'; do
    expect 0 "pack to $name" "$CAROUSEL" pack text "--output=$name" text.txt
    next_works "pack"
    expect 0 "train to $name" "$CAROUSEL" train data.h5 --hidden=5 --steps=1 "--output=$name.run"
    next_works "train"
done

# ---- a folder, or a file in it, that is taken away ----

forever=("${train[@]}" --steps=1000000 --save-every=500 --validate-every=1h --quiet)
# away NAME COMMAND...: the command is done while a run trains into the folder away.
away() {
    local i
    rm -rf away
    "$CAROUSEL" "${forever[@]}" -o away 2> "$err" &
    for ((i = 0; i < 400; i++)); do
        [ -s away/metrics.jsonl ] && break
        sleep 0.05
    done
    "${@:2}"
    wait $!
    equal "$1: it ends" $? 73
    equal "$1: with one line" "$(grep -c '^carousel: away/' "$err")" 1
}
away "metrics.jsonl is removed" rm away/metrics.jsonl
check "it is not made anew" test ! -e away/metrics.jsonl
expect 75 "the same command goes on" "$CAROUSEL" "${forever[@]}" -o away --stop-after=0.5s
replace() { head -n 1 away/metrics.jsonl > other && mv other away/metrics.jsonl; }
away "metrics.jsonl is replaced" replace
says "it says which" "$err" "replaced"
away "the folder is moved" mv away moved
check "no folder is made anew" test ! -e away

# ---- starting over where RUN is a link ----

mkdir disk disk/scratch
ln -s disk/scratch to-disk
ln -s to-disk link
fresh=("$CAROUSEL" train data.h5 --hidden=5 --steps=2 --threads=1)
expect 0 "a run by a link" "${fresh[@]}" -o link
expect 0 "--fresh" "${fresh[@]}" -o link --fresh
says "it says where the old run is" "$err" "disk/scratch.old"
check "the old run is there" test -e disk/scratch.old/last.h5
check "the new one lands on the same disk" test -e disk/scratch/last.h5
check "the link is one still" test -L link -a -L to-disk
expect 0 "--fresh, with a slash, over ranks" ranks 2 "${fresh[@]}" -o link/ --fresh
check "the second" test -e disk/scratch.old-2/last.h5 -a -e disk/scratch/last.h5 -a -L link
ln -s nowhere dangling
refused 73 "a link to nowhere" "dangling link" "${fresh[@]}" -o dangling --quiet
refused 73 "also starting over" "dangling link" "${fresh[@]}" -o dangling --fresh --quiet
check "nothing is made" test ! -e nowhere -a ! -e dangling.old

# ---- a folder that can't be written ----

read_only() { unshare -m sh -c 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"' "$@"; }
if read_only disk/scratch true 2> /dev/null; then
    refused 73 "a read-only folder, once" "Read-only" read_only disk/scratch "${fresh[@]}" -o link --steps=9
    refused 73 "a mounted one can't be moved" "mounted" read_only disk/scratch "${fresh[@]}" -o link --fresh
    expect 0 "a finished run is finished there, too" read_only disk/scratch "${fresh[@]}" -o link
else
    skip "a read-only folder: root with the right to mount one would do"
fi

finish
