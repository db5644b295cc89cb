#!/bin/bash
# `carousel pack text` from the command line, and what reads data sets when they are none.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 99
mkdir spool
export TMPDIR=$WORK/spool

# leftovers: what packing should have removed.
leftovers() {
    find . -name '.*.tmp' -o -name '.carousel*' | tr '\n' ' '
}

# clean NAME: there are none.
clean() {
    equal "$1" "none$(leftovers)" none
}

for i in $(seq 400); do
    printf 'line %d: the ring turns \303\244\342\202\254\360\237\216\240\r\n' "$i"
done > text.txt
head -n 150 text.txt > first.txt
tail -n +151 text.txt > rest.txt

# ---- the same text by every way in ----

expect 0 "a file" "$CAROUSEL" pack text -o data.h5 text.txt
equal "nothing on standard output" "0" "$(wc -c < "$out")"
says "it says what it made" "$err" "$(wc -m < text.txt) tokens"
wanted=$(digest data.h5 data)
pack_pipe() { cat text.txt | "$CAROUSEL" pack text -o "$1" -; }
expect 0 "standard input, a pipe" pack_pipe pipe.h5
equal "the same tokens" "$(digest pipe.h5 data)" "$wanted"
pack_redirect() { "$CAROUSEL" pack text -o "$1" - < text.txt; }
expect 0 "standard input, a file" pack_redirect file.h5
equal "the same tokens" "$(digest file.h5 data)" "$wanted"
pack_substitution() { "$CAROUSEL" pack text -o "$1" <(cat first.txt) rest.txt; }
expect 0 "a pipe with a name, and a file" pack_substitution named.h5
equal "the same tokens" "$(digest named.h5 data)" "$wanted"
expect 0 "two files" "$CAROUSEL" pack text -o two.h5 first.txt rest.txt
equal "the same tokens" "$(digest two.h5 data)" "$wanted"
pack_mixed() { "$CAROUSEL" pack text -o "$1" first.txt - < rest.txt; }
expect 0 "a file and standard input" pack_mixed mixed.h5
equal "the same tokens" "$(digest mixed.h5 data)" "$wanted"
expect 0 "packed again over itself" "$CAROUSEL" pack text -o data.h5 text.txt
equal "the same tokens" "$(digest data.h5 data)" "$wanted"
expect 0 "other shares" "$CAROUSEL" pack text --split=0.5,0.25,0.25 -o shares.h5 text.txt
differ "other pieces" "$(digest shares.h5 data)" "$wanted"
expect 0 "bytes" "$CAROUSEL" pack text --level=byte -o bytes.h5 text.txt
differ "other tokens" "$(digest bytes.h5 data)" "$wanted"
says "as many as bytes" "$err" "$(wc -c < text.txt) tokens"

# Part of standard input was read before: what is left is packed.
sed 1d text.txt > later.txt
expect 0 "the rest of standard input" bash -c '
    exec < text.txt
    IFS= read -r line
    "$CAROUSEL" pack text -o later1.h5 -'
expect 0 "the same from a file" "$CAROUSEL" pack text -o later2.h5 later.txt
equal "the same tokens" "$(digest later1.h5 data)" "$(digest later2.h5 data)"
clean "no temporary file is left"

# ---- texts that are refused; data.h5 stays as it is ----

before=$(fingerprint data.h5)
printf 'abc\377def' > bad.txt
printf 'abc\303\251 \342\202' > cut.txt
: > empty.txt
refused 65 "a byte that is not UTF-8" "bad.txt 3 0xff" "$CAROUSEL" pack text -o data.h5 text.txt bad.txt
refused 65 "a character cut off" "cut.txt 6" "$CAROUSEL" pack text -o data.h5 cut.txt
pack_bad() { "$CAROUSEL" pack text -o data.h5 - < bad.txt; }
refused 65 "a bad byte of standard input" "standard input 3" pack_bad
refused 65 "an empty text" "empty.txt nothing to pack" "$CAROUSEL" pack text -o data.h5 empty.txt
pack_nothing() { : | "$CAROUSEL" pack text -o data.h5 -; }
refused 65 "an empty standard input" "standard input nothing to pack" pack_nothing
refused 66 "a missing text" "nowhere.txt" "$CAROUSEL" pack text -o data.h5 text.txt nowhere.txt
refused 66 "a folder" "spool folder" "$CAROUSEL" pack text -o data.h5 spool
refused 64 "standard input twice" "-" "$CAROUSEL" pack text -o data.h5 - -
refused 64 "shares that are no whole" "--split" "$CAROUSEL" pack text --split=0.9,0.2,0.1 -o data.h5 text.txt
refused 64 "negative shares" "--split" "$CAROUSEL" pack text --split=1.5,-0.5,0 -o data.h5 text.txt
refused 64 "two shares" "--split" "$CAROUSEL" pack text --split=0.5,0.5 -o data.h5 text.txt
refused 64 "shares that are no numbers" "--split" "$CAROUSEL" pack text --split=a,b,c -o data.h5 text.txt
refused 64 "an unknown level" "--level word" "$CAROUSEL" pack text --level=line -o data.h5 text.txt
equal "data.h5 is as it was" "$(fingerprint data.h5)" "$before"

# ---- outputs that are refused ----

cp text.txt copy.txt
refused 64 "no output" "-o" "$CAROUSEL" pack text text.txt
refused 64 "the output is an input" "text.txt" "$CAROUSEL" pack text -o text.txt text.txt
check "the input is as it was" cmp text.txt copy.txt
refused 73 "no such folder" "no/such/x.h5" "$CAROUSEL" pack text -o no/such/x.h5 text.txt
refused 73 "a folder as output" "spool" "$CAROUSEL" pack text -o spool text.txt
refused 73 "a file as folder" "copy.txt/x.h5" "$CAROUSEL" pack text -o copy.txt/x.h5 text.txt
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked && chmod 555 locked
    refused 73 "a folder that can't be written" "locked/x.h5" "$CAROUSEL" pack text -o locked/x.h5 text.txt
    touch secret.txt && chmod 0 secret.txt
    refused 66 "a text that can't be read" "secret.txt" "$CAROUSEL" pack text -o data.h5 secret.txt
else
    skip "permissions stop nobody who is root"
fi
clean "no temporary file is left"

# ---- stopped from outside ----

mkfifo slow
"$CAROUSEL" pack text -o data.h5 slow > stopped.out 2>&1 &
packing=$!
exec 3> slow
head -n 5 text.txt >&3
for _ in $(seq 100); do
    [ -n "$(find . -name '.data.h5*.tmp')" ] && break
    sleep 0.1
done
differ "a temporary file while it packs" "$(find . -name '.data.h5*.tmp')" none
kill -TERM "$packing"
wait "$packing"
equal "ended by the signal" "$?" "143"
exec 3>&-
clean "SIGTERM leaves no temporary file"
equal "data.h5 is as it was" "$(fingerprint data.h5)" "$before"

# ---- vocabularies of other files ----

expect 0 "the vocabulary of a data set" "$CAROUSEL" pack text --vocabulary=data.h5 -o again.h5 text.txt
equal "the same tokens" "$(digest again.h5 data)" "$wanted"
printf 'turns \303\244 z!\n' > other.txt
refused 65 "an unknown character" "other.txt z 9 data.h5 --unknown=drop" "$CAROUSEL" pack text --vocabulary=data.h5 -o x.h5 other.txt
check "and no file" test ! -e x.h5
expect 0 "unknown characters dropped" "$CAROUSEL" pack text --vocabulary=data.h5 --unknown=drop -o x.h5 other.txt
says "and counted" "$err" "dropped: 2 "
refused 64 "a vocabulary of bytes" "--vocabulary --level=byte" "$CAROUSEL" pack text --vocabulary=data.h5 --level=byte -o x.h5 other.txt
refused 64 "dropped without a vocabulary" "--unknown" "$CAROUSEL" pack text --unknown=drop -o x.h5 other.txt
refused 65 "a file without characters" "bytes.h5 /vocabulary" "$CAROUSEL" pack text --vocabulary=bytes.h5 -o x.h5 other.txt
refused 65 "a text for a vocabulary" "text.txt HDF5" "$CAROUSEL" pack text --vocabulary=text.txt -o x.h5 other.txt
refused 66 "a missing vocabulary" "nowhere.h5" "$CAROUSEL" pack text --vocabulary=nowhere.h5 -o x.h5 other.txt
expect 0 "a model of this text" "$CAROUSEL" train data.h5 -o run --hidden=4 --layers=1 --steps=1 --quiet
expect 0 "the vocabulary of a checkpoint" "$CAROUSEL" pack text --vocabulary=run/last.h5 -o again.h5 text.txt
equal "the same tokens" "$(digest again.h5 data)" "$wanted"

# ---- what is no data set, for those that read one ----

size=$(wc -c < data.h5)
head -c $((size / 2)) data.h5 > truncated.h5
head -c $((size - 1)) data.h5 > short.h5
cp text.txt text.h5
: > empty.h5
# One token of the training split becomes another: where the file of a text with two letters exchanged differs first.
spoil() {
    local at
    at=$(cmp -l data.h5 changed.h5 | awk 'NR == 1 { print $1 }')
    cp data.h5 spoilt.h5
    printf '\001' | dd of=spoilt.h5 bs=1 seek=$((at - 1)) conv=notrunc 2> dd.err
}
sed '1s/turns/tunrs/' text.txt > changed.txt
expect 0 "a text with two letters changed" "$CAROUSEL" pack text -o changed.h5 changed.txt
spoil
differ "a spoilt file" "$(fingerprint spoilt.h5)" "$(fingerprint data.h5)"
mkdir a_folder.h5
for launch in "" "ranks 3"; do
    for case in "65 truncated.h5" "65 short.h5" "65 text.h5" "65 empty.h5" "65 spoilt.h5" "65 run/last.h5" \
        "66 nowhere.h5" "66 a_folder.h5"; do
        refused "${case% *}" "train ${launch:+under $launch }on ${case#* }" "${case#* }" $launch "$CAROUSEL" train "${case#* }" -o none --steps=1
    done
done
check "and no run is begun" test ! -e none
for case in "65 truncated.h5" "65 text.h5" "65 empty.h5" "65 run/last.h5" "66 nowhere.h5" "66 a_folder.h5"; do
    refused "${case% *}" "eval on ${case#* }" "${case#* }" "$CAROUSEL" eval run/last.h5 "${case#* }"
done
for case in "65 truncated.h5" "65 text.h5" "65 empty.h5" "65 spoilt.h5" "66 nowhere.h5" "66 a_folder.h5"; do
    refused "${case% *}" "show ${case#* }" "${case#* }" "$CAROUSEL" show "${case#* }"
done

# ---- constant memory: far more text than memory ----

for _ in $(seq 2000); do cat text.txt; done > large.txt
megabytes=$(($(wc -c < large.txt) / 1000000))
pack_large() { (ulimit -d 24000 && "$CAROUSEL" pack text -o large.h5 large.txt); }
expect 0 "$megabytes MB of text in 24 MB of memory" pack_large
pack_large_pipe() { (ulimit -d 24000 && cat large.txt | "$CAROUSEL" pack text -o large2.h5 -); }
expect 0 "the same through a pipe" pack_large_pipe
equal "the same tokens" "$(digest large.h5 data)" "$(digest large2.h5 data)"
rm -f large.txt large.h5 large2.h5

# ---- full and read-only disks: in a name space of our own, so that nothing stays mounted ----

space=$(own_mounts)
mkdir disk
if $space mount -t tmpfs -o size=64k none disk 2> mount.err; then
    # on_disk SIZE COMMAND: with a disk of SIZE at ./disk that has an older data.h5, which must stay; prints what is wrong.
    cat > on_disk.sh <<'SCRIPT'
mount -t tmpfs -o size="$1" none disk || exit 1
shift
printf 'an older file' > disk/data.h5
"$@"
status=$?
[ "$status" -eq 0 ] || [ "$(cat disk/data.h5)" = 'an older file' ] || echo "carousel: disk/data.h5 changed" >&2
[ -z "$(find disk -name '.*')" ] || echo "carousel: $(find disk -name '.*') is left" >&2
exit "$status"
SCRIPT
    for size in 4k 8k 12k 16k 20k 24k; do
        refused 73 "a disk of $size" "disk/data.h5" $space bash on_disk.sh $size "$CAROUSEL" pack text -o disk/data.h5 text.txt
    done
    for _ in $(seq 100); do cat text.txt; done > long.txt
    for size in 100k 400k 900k; do # full in the middle of the tokens
        refused 73 "a disk of $size" "disk/data.h5" $space bash on_disk.sh $size "$CAROUSEL" pack text -o disk/data.h5 long.txt
    done
    expect 0 "a disk of 100k" $space bash on_disk.sh 100k "$CAROUSEL" pack text -o disk/data.h5 text.txt
    pack_full_spool() {
        cat text.txt | $space bash -c 'mount -t tmpfs -o size=8k none disk; TMPDIR=$PWD/disk exec "$CAROUSEL" pack text -o full.h5 -'
    }
    refused 73 "no room for a copy of standard input" "disk standard input TMPDIR" pack_full_spool
    check "and no file" test ! -e full.h5
    expect 0 "a data set on a read-only disk" $space bash -c '
        mount -t tmpfs none disk && cp data.h5 disk/ && mount -o remount,ro disk && "$CAROUSEL" show --digest disk/data.h5'
    refused 73 "an output on a read-only disk" "disk/data.h5" $space bash -c '
        mount -t tmpfs none disk && mount -o remount,ro disk && "$CAROUSEL" pack text -o disk/data.h5 text.txt'
else
    skip "full and read-only disks: no disk can be mounted here ($(head -n 1 mount.err))"
fi
clean "no temporary file is left"
finish
