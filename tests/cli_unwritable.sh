#!/bin/bash
# Outputs of sequences where they can't be written, or only in part: exit status 73, what was there stays, and nothing
# else is left. Every kind of `pack` but plain text, `predict` and music of `sample`.
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 99

{
    echo 'who,x,y'
    for i in $(seq 0 3999); do echo "p$((i / 600)),$i,$((i * i % 17))"; done
} > table.csv
{
    printf '@classLabel true a b\n@data\n'
    for i in $(seq 400); do echo "$(seq -s, "$i" $((i + 9))):$([ $((i % 2)) -eq 0 ] && echo a || echo b)"; done
} > series.ts
{
    printf '{"train": ['
    for i in $(seq 40); do printf '[[60, 64], [%d], [], [62]], ' $((60 + i % 9)); done
    printf '[[60]]], "valid": [[[60], [62]]], "test": [[[64], [65], [67]], [[67]]]}'
} > notes.json
for i in $(seq 900); do echo "The $((i % 97)) kings, word$i and so on"; done > words.txt
"$CAROUSEL" pack notes -q -o roll.h5 notes.json || exit 99
"$CAROUSEL" train roll.h5 -o run --hidden=4 --layers=1 --batch=8 --steps=2 --quiet || exit 99

# write KIND FOLDER: one output there, named KIND with the end that decides its form.
write() {
    case $1 in
        table.h5) "$CAROUSEL" pack table -q --group=who --targets=y -o "$2/$1" table.csv ;;
        series.h5) "$CAROUSEL" pack series -q -o "$2/$1" series.ts ;;
        notes.h5) "$CAROUSEL" pack notes -q -o "$2/$1" notes.json ;;
        task.h5) "$CAROUSEL" pack task -q -o "$2/$1" adding --count=90,9,9 ;;
        words.h5) "$CAROUSEL" pack text -q --level=word -o "$2/$1" words.txt ;;
        said.*) "$CAROUSEL" predict -q --split=train -o "$2/$1" run/last.h5 roll.h5 ;;
        song.*) "$CAROUSEL" sample -q --steps=3000 -o "$2/$1" run/last.h5 ;;
    esac
}
export -f write
kinds="table.h5 series.h5 notes.h5 task.h5 words.h5 said.csv said.h5 song.mid song.json"

# ---- no place ----

mkdir made kept
echo a file > file
for kind in $kinds; do
    refused 73 "$kind: no such folder" "none/$kind" write "$kind" none
    refused 73 "$kind: a file for a folder" "file/$kind" write "$kind" file
    mkdir "made/$kind"
    refused 73 "$kind: a folder of that name" "made/$kind" write "$kind" made
    rmdir "made/$kind"
done
equal "nothing is made" "none$(ls -A made)$(ls -d none 2> /dev/null)" none

# ---- a file that may not grow so far: any user can have that ----

for kind in $kinds; do
    echo an older file > "kept/$kind"
    for blocks in 1 4; do
        limit=(bash -c "ulimit -f $blocks; write $kind \$1" -)
        refused 73 "$kind: at most $blocks KiB" "made/$kind ulimit" "${limit[@]}" made
        equal "$kind: nothing is left" "none$(ls -A made)" none
        refused 73 "$kind: at most $blocks KiB, an older one there" "kept/$kind ulimit" "${limit[@]}" kept
        equal "$kind: that stays" "$(cat "kept/$kind")" "an older file"
    done
done
# Rows of groups that are mixed go through a temporary file.
{ head -n 1 table.csv && tail -n +2 table.csv | sort -s -t, -k3,3; } > mixed.csv
mixed=("$CAROUSEL" pack table -q --group=who --targets=y -o made/mixed.h5 mixed.csv)
refused 73 "mixed groups: at most 4 KiB" "temporary ulimit" bash -c 'ulimit -f 4; "$@"' - "${mixed[@]}"
equal "mixed groups: nothing is left" "none$(ls -A made)" none
equal "nothing beside them" "$(ls -A kept | wc -l)" "$(echo "$kinds" | wc -w)"

# ---- full and read-only disks: in a name space of our own, so that nothing stays mounted ----

space=$(own_mounts)
mkdir disk
if $space mount -t tmpfs -o size=64k none disk 2> mount.err; then
    # on_disk.sh SIZE KIND: writes to a disk of SIZE that has an older file of that name; says what is wrong in the end.
    cat > on_disk.sh <<'SCRIPT'
mount -t tmpfs -o size="$1" none disk || exit 1
printf 'an older file' > "disk/$2"
[ "$3" != ro ] || mount -o remount,ro disk
write "$2" disk
status=$?
[ "$status" -eq 0 ] || [ "$(cat "disk/$2")" = 'an older file' ] || echo "carousel: disk/$2 changed" >&2
[ -z "$(find disk -name '.*')" ] || echo "carousel: $(find disk -name '.*') is left" >&2
exit "$status"
SCRIPT
    for kind in $kinds; do
        for size in 4k 8k 12k; do
            refused 73 "$kind: a disk of $size" "disk/$kind" $space bash on_disk.sh $size "$kind" rw
        done
        refused 73 "$kind: a read-only disk" "disk/$kind" $space bash on_disk.sh 1m "$kind" ro
        expect 0 "$kind: a disk of 1m" $space bash on_disk.sh 1m "$kind" rw
    done
    for kind in table series words; do # from a pipe there is a copy, elsewhere
        file=$(ls $kind.csv $kind.ts $kind.txt 2> /dev/null)
        full_spool() {
            cat "$file" | $space bash -c 'mount -t tmpfs -o size=8k none disk; TMPDIR=$PWD/disk exec "$CAROUSEL" "$@"' - \
                pack "$@" -o made/piped.h5 -
        }
        case $kind in
            table) refused 73 "a table's copy" "disk standard input TMPDIR" full_spool table --group=who --targets=y ;;
            series) refused 73 "a copy of series" "disk standard input TMPDIR" full_spool series ;;
            words) refused 73 "a copy of words" "disk standard input TMPDIR" full_spool text --level=word ;;
        esac
    done
    equal "nothing is left" "none$(ls -A made)" none
else
    skip "full and read-only disks: no disk can be mounted here ($(head -n 1 mount.err))"
fi
finish
