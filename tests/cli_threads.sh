#!/bin/bash
# How many threads a rank runs by default, whatever OpenMP binds; and one process without a launcher, which needs none of
# Open MPI's programs.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
cd "$WORK" || exit 99
unset OMP_NUM_THREADS

text 3000 > text.txt
"$CAROUSEL" pack text -o data.h5 text.txt 2> /dev/null || exit 99
small=(--hidden=8 --layers=1 --batch=8 --window=10 --steps=1 --verbose)

# threads_of VARIABLE=VALUE...: the threads of a run with these, and where verbose says that the number comes from.
threads_of() {
    rm -rf run
    env "$@" "$CAROUSEL" train data.h5 -o run "${small[@]}" 2>&1 |
        sed -n 's/^ranks: 1 with \([0-9]*\) thread.*/\1/p; s/^threads of a rank: [0-9]*, by \(.*\)/\1:/p' | tr '\n' ' '
}

wanted=$(threads_of A=b)
check "a number" grep -Eq '^(the cores it may run on|its share of the processor time.*): [1-9][0-9]* $' <<< "$wanted"
if [ "$(nproc)" -lt 2 ]; then
    skip "whatever OpenMP binds: with one core it is 1 thread of 1; a machine of two would do"
    set --
else
    set -- OMP_PROC_BIND=true OMP_PROC_BIND=spread OMP_PROC_BIND=close OMP_PLACES=cores OMP_PLACES=threads \
        "GOMP_CPU_AFFINITY=0-$(($(nproc --all) - 1))" OMP_NUM_THREADS=x
fi
for variable in "$@"; do
    equal "$variable: as many as without" "$(threads_of "$variable")" "$wanted"
done
equal "OMP_NUM_THREADS" "$(threads_of OMP_NUM_THREADS=3)" "OMP_NUM_THREADS: 3 "
equal "OMP_NUM_THREADS, a list" "$(threads_of OMP_NUM_THREADS=5,2 OMP_PROC_BIND=true)" "OMP_NUM_THREADS: 5 "
small+=(--threads=2)
equal "--threads before both" "$(threads_of OMP_NUM_THREADS=3 OMP_PROC_BIND=close)" "2 "
if [ "$(nproc)" -ge 2 ]; then
    unset 'small[-1]'
    first=$(taskset -cp $$ | sed 's/.*: \([0-9]*\).*/\1/')
    rm -rf run
    taskset -c "$first" "$CAROUSEL" train data.h5 -o run "${small[@]}" 2> one.err
    says "one core allowed" one.err "ranks: 1 with 1 thread,"
    small+=(--threads=1)
else
    skip "fewer cores allowed than there are: a machine of two would do"
fi

# ---- without a launcher ----

alone() { env -i "$@" "$CAROUSEL" train data.h5 -o alone "${small[@]}" --fresh; }
expect 0 "an empty environment" alone
expect 0 "a shell of srun --pty" alone SLURM_STEP_ID=0 SLURM_STEPID=0 SLURM_JOBID=7 SLURM_JOB_ID=7 SLURM_NODELIST=here \
    SLURM_NTASKS=4 SLURM_STEP_NUM_TASKS=1 SLURM_PROCID=0
expect 0 "the same, where Slurm has PMIx" alone SLURM_STEP_ID=0 SLURM_STEPID=0 SLURM_JOBID=7 SLURM_NODELIST=here \
    SLURM_NTASKS=1 SLURM_PROCID=0 PMIX_RANK=0 PMIX_NAMESPACE=slurm.pmix.7.0
expect 0 "under mpirun, one rank" ranks 1 "$CAROUSEL" train data.h5 -o alone "${small[@]}" --fresh

# ---- ranks of Slurm that are not told of each other ----

untold() { env -i SLURM_STEP_ID=0 SLURM_STEPID=0 SLURM_JOB_ID=7 SLURM_NTASKS=4 SLURM_PROCID="$1" "$CAROUSEL" train data.h5 -o untold; }
refused 64 "the first of four" "4 tasks --mpi=pmix mpirun" untold 0
run untold 1
equal "the others say nothing" "$status $(wc -c < "$err")" "64 0"
check "nothing is begun" test ! -e untold
alone_of() { env -i SLURM_STEP_ID=0 SLURM_NTASKS=4 SLURM_PROCID=0 "$CAROUSEL" "$@"; }
expect 0 "what one process does for itself goes on" alone_of show data.h5

# ---- what the job gave ----

small=(--hidden=8 --layers=1 --batch=8 --window=10 --steps=1 --verbose)
if [ "$(nproc)" -ge 2 ]; then
    equal "Slurm gave a processor" "$(threads_of SLURM_CPUS_PER_TASK=1)" "the processors that Slurm gave it: 1 "
    equal "or a share of the node's" "$(threads_of SLURM_CPUS_ON_NODE=1)" "the processors that Slurm gave it: 1 "
    equal "OMP_NUM_THREADS before it" "$(threads_of OMP_NUM_THREADS=2 SLURM_CPUS_PER_TASK=1)" "OMP_NUM_THREADS: 2 "
else
    skip "what Slurm gave: with one core it is 1 thread of 1; a machine of two would do"
fi

# ---- too many, and too few ----

# said RANKS THREADS FLAG...: warnings and notes about cores.
said() {
    local n=$1 threads=$2
    shift 2
    "$MPIRUN" --oversubscribe "$@" -n "$n" "$CAROUSEL" train data.h5 -o crowd --fresh "${small[@]}" ${threads:+--threads="$threads"} 2>&1 |
        grep -E '^carousel: warning|cores? of a node'
}
if is_open_mpi; then
    cores=$(lscpu -p=core,socket 2> /dev/null | grep -v '^#' | sort -u | wc -l)
    said 2 "$cores" --bind-to none > crowd.err
    if [ "$(nproc)" -lt 2 ] || [ "$(nproc)" -gt 512 ]; then
        skip "threads beyond the cores: a machine of 2 to 512 would do"
    else
        equal "threads beyond the cores are warned of, once" "$(grep -c 'warning' crowd.err)" 1
        says "with how many" crowd.err "$((2 * cores)) threads on the $cores cores of a node"
        says "and what would do" crowd.err "--threads=$((cores / 2))"
        check "as many as there are: nothing" test -z "$(said 1 "$cores" --bind-to none)"
        said 1 "" --bind-to core > few.err
        says "one of some cores: told" few.err "and $((cores - 1)) of the $cores cores of a node are idle"
        says "with what would do" few.err "--map-by slot:pe=$cores would give it $cores"
        check "which it does" test -z "$(said 1 "" --map-by slot:pe="$cores")"
    fi
else
    skip "threads beyond the cores, and mpirun's binding: Open MPI's mpirun would do"
fi

# Whether a rank that trains has these in its environment; it waits for nothing but its end.
waits() {
    local n=$1 process i found
    shift
    rm -rf waits
    env -u OMP_WAIT_POLICY -u OMPI_MCA_mpi_yield_when_idle "$@" "$MPIRUN" --oversubscribe --bind-to none -n "$n" \
        "$CAROUSEL" train data.h5 -o waits --hidden=8 --layers=1 --batch=8 --window=10 --steps=1000000 --save-every=1h --quiet 2> /dev/null &
    for ((i = 0; i < 200; i++)); do
        [ -e waits/last.h5 ] && break
        sleep 0.05
    done
    process=$(children $! | head -n 1)
    found=$(tr '\0' '\n' < "/proc/$process/environ" | grep -E '^(OMP_WAIT_POLICY|OMPI_MCA_mpi_yield_when_idle)=' | sort | tr '\n' ' ')
    kill -USR1 $!
    wait $!
    echo "$found"
}
if is_open_mpi; then
    equal "ranks that share cores do not spin" "$(waits 2)" "OMPI_MCA_mpi_yield_when_idle=1 OMP_WAIT_POLICY=passive "
    equal "what was wanted holds" "$(waits 2 OMP_WAIT_POLICY=active)" "OMP_WAIT_POLICY=active "
    check "one by itself is left alone" test -z "$(waits 1)"
fi
finish
