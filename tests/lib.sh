# What the shell tests and the driver of the CUnit programs share; sourced, not run. Bash.
#
# From `make check`, or set by hand: CAROUSEL and CAROUSEL_FAULTS (the programs), MPIRUN (the launcher), srcdir (the
# source tree).
# TEST_TIMEOUT: seconds after which one start of the launcher is a hang (300). KEEP=1 keeps the temporary folder.
#
# A test starts with `. "$srcdir/tests/lib.sh"`, works in "$WORK" (a private folder, removed at the end), and ends
# with `finish`. Each check counts as one passed or failed; what can't be checked here, as one skipped.

set -u
exec < /dev/null

: "${TEST_TIMEOUT:=300}"
: "${srcdir:=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}"
srcdir=$(cd "$srcdir" && pwd)
export srcdir
. "$srcdir/scripts/mpi.sh"

WORK=$(mktemp -d "${TMPDIR:-/tmp}/carousel-XXXXXX") || exit 99
export TMPDIR=$WORK
cleanup() {
    if [ -n "${KEEP:-}" ]; then
        echo "kept: $WORK"
    else
        rm -rf "$WORK"
    fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# Few threads, which sleep while they wait: there are more ranks than cores here.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" OMP_WAIT_POLICY=passive
export LC_ALL=C.UTF-8
# Open MPI's leaks are not ours (room base counts our own); a sanitizer's finding ends the program.
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=0}" UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
export OMPI_MCA_mpi_yield_when_idle=1
if is_open_mpi; then
    launcher_flags=(--oversubscribe --bind-to none --timeout "$TEST_TIMEOUT")
fi

# ranks N COMMAND...: the command under the launcher.
ranks() {
    local n=$1
    shift
    "$MPIRUN" "${launcher_flags[@]}" -n "$n" "$@"
}

passed=0
failed=0
skipped=0

pass() {
    passed=$((passed + 1))
    echo "ok: $1"
}

fail() {
    failed=$((failed + 1))
    echo "FAILED: $1"
    shift
    [ $# -eq 0 ] || printf '    %s\n' "$@"
}

# The words before a command that mounts disks for itself alone, so that nothing stays mounted.
own_mounts() {
    if [ "$(id -u)" -eq 0 ]; then echo "unshare -m"; else echo "unshare -rm"; fi
}

# skip WHY: some checks can't be made here; WHY says what would do. Neither passed nor failed.
skip() {
    skipped=$((skipped + 1))
    echo "SKIPPED: $1"
}

# finish: the counts and the exit status: 77 where all was skipped. No check at all is a failure.
finish() {
    [ $((passed + failed + skipped)) -gt 0 ] || failed=1
    [ "$skipped" -eq 0 ] || echo "$skipped skipped"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] || exit 1
    [ "$passed" -gt 0 ] || exit 77
    exit 0
}

# check NAME COMMAND...: passes where the command succeeds.
check() {
    local name=$1
    shift
    if "$@" > "$WORK/check.out" 2>&1; then
        pass "$name"
    else
        fail "$name" "status $? of: $*"
        tail -n 20 "$WORK/check.out"
    fi
}

# run COMMAND...: leaves its exit status in $status, standard output in $out and standard error in $err (file names).
out=$WORK/out
err=$WORK/err
status=0
run() {
    "$@" > "$out" 2> "$err"
    status=$?
}

# expect STATUS NAME COMMAND...: runs it (as `run`) and passes where it ends with this status.
expect() {
    local wanted=$1 name=$2
    shift 2
    run "$@"
    if [ "$status" -eq "$wanted" ]; then
        pass "$name"
        return 0
    fi
    fail "$name" "status $status, not $wanted, of: $*"
    tail -n 20 "$err"
    return 1
}

# refused STATUS NAME WORDS COMMAND...: it ends with this status, writes nothing to standard output, and exactly one
# line `carousel: ...` to standard error, in which each blank-separated one of WORDS stands. What the launcher itself
# adds is passed over.
refused() {
    local wanted=$1 name=$2 words=$3 word line lines=0 told=
    local -a all
    shift 3
    run "$@"
    if [ "$status" -ne "$wanted" ]; then
        fail "$name" "status $status, not $wanted, of: $*"
        tail -n 20 "$err"
        return 1
    fi
    # Without another process: there are hundreds of these.
    mapfile all < "$err"
    for line in "${all[@]}"; do
        case $line in
            'carousel: '*$'\n') told+=$line lines=$((lines + 1)) ;;
            *) [ "$1" = ranks ] || lines=$((lines + 1)) ;;
        esac
    done
    if [ "$lines" -ne 1 ] || [ -z "$told" ]; then
        fail "$name" "$lines lines of error, not 1, of: $*"
        tail -n 20 "$err"
        return 1
    fi
    for word in $words; do
        if [[ $told != *"$word"* ]]; then
            fail "$name" "no '$word' in: $told"
            return 1
        fi
    done
    if [ -s "$out" ]; then
        fail "$name" "it wrote to standard output: $(head -n 1 "$out")"
        return 1
    fi
    pass "$name"
}

# says NAME FILE TEXT: a line of the file has this text.
says() {
    if grep -qF -e "$3" "$2"; then
        pass "$1"
    else
        fail "$1" "no '$3' in:"
        tail -n 20 "$2"
        return 1
    fi
}

# equal NAME A B: the same, not empty text.
equal() {
    if [ -n "$2" ] && [ "$2" = "$3" ]; then
        pass "$1"
    else
        fail "$1" "'$2' is not '$3'"
        return 1
    fi
}

# differ NAME A B
differ() {
    if [ -n "$2" ] && [ -n "$3" ] && [ "$2" != "$3" ]; then
        pass "$1"
    else
        fail "$1" "both are '$2' (or one is empty)"
        return 1
    fi
}

# The ids of the processes that a process started.
children() {
    local file id name state parent
    for file in /proc/[0-9]*/stat; do
        read -r id name state parent _ 2> /dev/null < "$file" && [ "$parent" = "$1" ] && echo "$id"
    done
}

# wait_until COMMAND...: until it succeeds, at most 20 seconds.
wait_until() {
    local i
    for ((i = 0; i < 400; i++)); do
        "$@" 2> /dev/null && return 0
        sleep 0.05
    done
    return 1
}

# digest FILE [parameters|state|data]: the hash that `carousel show --digest` prints (default: state).
digest() {
    "$CAROUSEL" show --digest "$1" | sed -n "s/^${2:-state} //p"
}

# fingerprint FOLDER_OR_FILE: changes where any file under it does, or its name; for "no file changes".
fingerprint() {
    find "$@" -type f -printf '%p ' -exec md5sum {} \; 2> /dev/null | sort | md5sum
}
