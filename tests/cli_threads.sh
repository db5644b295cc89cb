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

finish
