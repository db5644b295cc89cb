#!/bin/bash
# Files that can't be what they should: a limit on their size, no fsync, data that changes while it is read.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 99
export TMPDIR=$WORK OMPI_MCA_ess_singleton_isolated=1
for i in $(seq 3000); do
    printf 'line %d: the ring turns\n' "$i"
done > text.txt
tiny=(--threads=1 --hidden=2 --layers=1 --embed=2 --quiet)
expect 0 "a data set" "$CAROUSEL" pack text -q -o data.h5 text.txt

# leftovers: what packing should have removed.
leftovers() {
    find . -name '.*.tmp' -o -name '.carousel*' | tr '\n' ' '
}

# limited KIB COMMAND...: with files of at most so many KiB.
limited() {
    (ulimit -f "$1" && shift && exec "$@")
}

# ---- ulimit -f ----

refused 73 "pack beyond a limit on file sizes" "out.h5 ulimit" limited 8 "$CAROUSEL" pack text -o out.h5 text.txt
equal "nothing is left of it" "none$(leftovers)$(ls out.h5 2> /dev/null)" none
pack_pipe() { cat text.txt | limited 8 "$CAROUSEL" pack text -o out.h5 -; }
refused 73 "a pipe beyond a limit on file sizes" "standard input ulimit" pack_pipe
equal "nothing is left of it either" "none$(leftovers)$(ls out.h5 2> /dev/null)" none
refused 73 "a checkpoint beyond a limit on file sizes" "step-00000000.h5 ulimit" \
    limited 8 "$CAROUSEL" train data.h5 -o small "${tiny[@]}" --steps=2

# ---- a file system without fsync ----

if command -v strace > /dev/null && strace -qq -e trace=fsync -o log true; then
    for reason in EINVAL EOPNOTSUPP ENOSYS; do
        without=(strace -f -qq -e trace=fsync -e inject=fsync:error=$reason -o log)
        rm -rf flushed
        expect 0 "training, fsync: $reason" "${without[@]}" "$CAROUSEL" train data.h5 -o flushed "${tiny[@]}" --steps=2
        equal "and both its files are there" "$(ls flushed/last.h5 flushed/metrics.jsonl 2> /dev/null | wc -l)" 2
        expect 0 "packing, fsync: $reason" "${without[@]}" "$CAROUSEL" pack text -q -o flushed.h5 text.txt
    done
    refused 73 "a disk that fails is no such file system" "flushed.h5" strace -f -qq -e trace=fsync \
        -e inject=fsync:error=EIO -o log "$CAROUSEL" pack text -q -o flushed.h5 text.txt
    rm -rf flushed
    refused 73 "nor is it for a checkpoint" "flushed/step-00000000.h5 flushed Input/output" strace -f -qq -e trace=fsync \
        -e inject=fsync:error=EIO:when=1 -o log "$CAROUSEL" train data.h5 -o flushed "${tiny[@]}" --steps=2
    check "it does not stand there" test ! -e flushed/step-00000000.h5
    rm -rf flushed
    refused 73 "nor for metrics" "flushed/metrics.jsonl Input/output" strace -f -qq -e trace=fsync \
        -P "$PWD/flushed/metrics.jsonl" -e inject=fsync:error=EIO -o log "$CAROUSEL" train data.h5 -o flushed "${tiny[@]}" --steps=2
    says "but the step is saved" "$err" "step 2 is saved in flushed all the same"
check "and whole" "$CAROUSEL" show flushed/step-00000002.h5
else
    skip "fsync that is not supported: strace is missing (on Debian: apt-get install strace), or may not trace"
fi

# ---- data that changes while it is trained on ----

for i in $(seq 100); do cat text.txt; done > long.txt
# Rows are longer than what is read ahead of them at once.
expect 0 "a long data set" "$CAROUSEL" pack text -q --split=1,0,0 -o long.h5 long.txt
cut_short() {
    timeout 120 "$CAROUSEL" train long.h5 -o cut "${tiny[@]}" --batch=10 --window=500 --steps=20000 \
        --save-every=1000000 --validate-every=1000000 &
    local trains=$!
    for i in $(seq 200); do
        [ -s cut/metrics.jsonl ] && break
        sleep 0.05
    done
    truncate -s 500000 long.h5
    wait "$trains"
}
refused 65 "data that is cut short while it is trained on" "long.h5 changed" cut_short
check "what was saved before is whole too" "$CAROUSEL" show cut/last.h5

finish
