#!/bin/bash
# The batch scripts of scripts/slurm on a real Slurm of four nodes, all on this machine (scripts/testbed slurm). As root.
. "$(dirname "$0")/lib.sh"
. "$srcdir/tests/texts.sh"
PATH=$PATH:/usr/sbin:/sbin
bed() { env TESTBED="$WORK/bed" "$srcdir/scripts/testbed" slurm "$@"; }

# ---- what the test bed says where it cannot be ----

mkdir "$WORK/few"
for tool in bash cat dirname env id mkdir sed sort tr; do
    ln -s "$(command -v "$tool")" "$WORK/few/$tool"
done
without() { env PATH="$WORK/few" TESTBED="$WORK/none" "$BASH" "$srcdir/scripts/testbed.d/slurm" "$@"; }
expect 64 "no such command" bed sideways
says "it lists them" "$err" "up, env, down"
expect 64 "no such bed" "$srcdir/scripts/testbed" ../lint
expect 64 "no such number of nodes" bed up none
expect 1 "env, where it is not up" bed env
says "says what would do" "$err" "slurm up"
expect 0 "down, where it is not up" bed down
if [ "$(id -u)" -ne 0 ]; then
    skip "jobs of Slurm: only root can start slurmd; run this test as root"
    finish
fi
# The bed's script looks into /usr/sbin by itself.
for program in slurmctld slurmd munged; do
    if ! command -v "$program" > /dev/null; then
        expect 1 "something is missing" without up
        says "it is named, with what would do" "$err" "apt-get install"
        skip "jobs of Slurm: $program is missing; scripts/setup --slurm installs it"
        finish
    fi
done

# ---- up ----

trap 'bed down; cleanup' EXIT
cd "$WORK" || exit 99
expect 0 "up" bed up 4 2 || finish
eval "$(bed env)"
equal "four nodes" "$(sinfo -h -N -o %T | sort | uniq -c | tr -s ' ')" " 4 idle"
# The batch scripts see what the shell has; the tests' own settings of OpenMP are not part of it.
unset OMP_NUM_THREADS OMP_WAIT_POLICY OMPI_MCA_mpi_yield_when_idle
jobs=$(cd "$srcdir/scripts/slurm" && pwd)
mkdir "a folder" && cd "a folder" || exit 99
text 4000 > text.txt
"$CAROUSEL" pack text -q -o "the data.h5" text.txt || exit 99
small=(--cell=gru --hidden=11 --layers=1 --batch=8 --window=10 --steps=36 --save-every=1h --validate-every=1h)

# submit NAME=VALUE... -- WORD...: a job with these variables; its number goes to $job.
submit() {
    local variables=()
    while [ "$1" != -- ]; do
        variables+=("$1")
        shift
    done
    shift
    job=$(env "CAROUSEL=$CAROUSEL" "${variables[@]}" sbatch --parsable "$@")
}
field() { scontrol show job -o "$job" | tr ' ' '\n' | sed -n "s/^$1=//p" | head -n 1; }
# over: waits, at most 100 seconds, until the job has ended; of one that waits to begin again, each time after AGAIN, if
# that is set, no longer than it must.
over() {
    local i state
    for ((i = 0; i < 500; i++)); do
        state=$(field JobState)
        case $state in
            PENDING)
                if [ "$(field Restarts)" -gt 0 ]; then
                    ${again:-true}
                    scontrol update job="$job" starttime=now
                fi
                ;;
            COMPLETED | FAILED | CANCELLED | TIMEOUT | NODE_FAIL) return 0 ;;
        esac
        sleep 0.2
    done
    return 1
}
ended() { echo "$(field JobState) $(field ExitCode)"; }

# ---- a job that is requeued ----

"$CAROUSEL" train "the data.h5" -q -o undisturbed --threads=1 "${small[@]}" || exit 99
# It wakes up on two nodes, not four.
half() { scontrol update job="$job" NumNodes=2 NumTasks=2; }
again=half
submit CAROUSEL="$CAROUSEL_FAULTS" CAROUSEL_FAULT=slow-step CAROUSEL_LEAD=42 -- -N 4 -n 4 --time=1 \
    --job-name=comes-again --comment="my own" "$jobs/requeue.sbatch" "the data.h5" -o "the run" --threads=1 "${small[@]}"
over
again=
log=slurm-$job.out
equal "a job that is requeued is COMPLETED" "$(ended)" "COMPLETED 0:0"
check "it was requeued" test "$(field Restarts)" -ge 1
equal "with its own options of sbatch" "$(field JobName) $(field TimeLimit)" "comes-again 00:01:00"
equal "the digest is that of an undisturbed run" "$(digest "the run/last.h5")" "$(digest undisturbed/last.h5)"
says "it began with four ranks" "$log" "start 1: 4 ranks on n[1-4] by srun, from step , "
says "it saved before the limit" "$log" "stopped by a signal after step"
says "it went on with two" "$log" "start 2: 2 ranks on n[1-2] by srun, from step"
says "and says that it is done" "$log" ": done"
start() { sed -n 's/.*"start": \({[^}]*}\).*/\1/p' "$1/metrics.jsonl" | sed -n "$2p"; }
equal "metrics tell of the first start" "$(start "the run" 1)" \
    "{\"job\": \"$job\", \"ranks\": 4, \"threads\": 1, \"nodes\": 4, \"hosts\": [\"n1\", \"n2\", \"n3\", \"n4\"]}"
equal "and of the second" "$(start "the run" 2)" \
    "{\"job\": \"$job\", \"ranks\": 2, \"threads\": 1, \"nodes\": 2, \"hosts\": [\"n1\", \"n2\"]}"
equal "each line is one of a step" "$(sed 's/^{"step": \([0-9]*\), .*/\1/' "the run/metrics.jsonl" | tr '\n' ' ')" "$(seq -s ' ' 36) "

# More tasks than the run has lanes; and nothing left to do.
submit -- -n 8 -N 4 "$jobs/requeue.sbatch" "the data.h5" --output=lanes --lanes=3 "${small[@]}" --steps=2 --quiet
over
equal "more ranks than lanes are refused at first" "$(ended)" "FAILED 78:0"
submit -- -n 1 "$jobs/requeue.sbatch" "the data.h5" -qo lanes --lanes=3 "${small[@]}" --steps=2
over
submit -- -n 8 -N 4 "$jobs/requeue.sbatch" "the data.h5" -qo lanes --lanes=3 "${small[@]}" --steps=3
over
equal "a run that goes on takes as many as it can" "$(ended)" "COMPLETED 0:0"
says "and says so" "slurm-$job.out" "3 lanes: 3 ranks work"

# ---- ends of other kinds ----

wait_for() { # wait_for COMMAND...: at most 20 seconds
    local i
    for ((i = 0; i < 200; i++)); do
        "$@" 2> /dev/null && return
        sleep 0.1
    done
    return 1
}
stepped() { [ "$(wc -l < "$1/metrics.jsonl")" -ge 1 ]; }
slow=(CAROUSEL="$CAROUSEL_FAULTS" CAROUSEL_FAULT=slow-step)

submit "${slow[@]}" -- -n 2 "$jobs/requeue.sbatch" "the data.h5" -qo cancelled "${small[@]}"
wait_for test -e cancelled/last.h5
sleep 2
scancel "$job"
over
sleep 3
equal "a job that is cancelled does not come back" "$(field JobState)" CANCELLED

# One rank is killed from outside, as for want of memory: another start goes on from what was saved, as long as something is.
submit "${slow[@]}" -- -n 2 "$jobs/requeue.sbatch" "the data.h5" -qo killed "${small[@]}" --steps=6 --save-every=1
wait_for test -e killed/step-00000002.h5
kill -KILL "$(pgrep -f -n "carousel-faults train the data.h5 -qo killed")"
over
equal "a rank that is killed: it goes on" "$(ended) $(field Restarts)" "COMPLETED 0:0 1"
says "it says what it was" "slurm-$job.out" "ended from outside (status 137"
equal "each step once" "$(sed 's/^{"step": \([0-9]*\), .*/\1/' killed/metrics.jsonl | tr '\n' ' ')" "$(seq -s ' ' 6) "
printf '#!/bin/bash\nexit 75\n' > saves-nothing
chmod +x saves-nothing
submit CAROUSEL="$PWD/saves-nothing" -- -n 1 "$jobs/requeue.sbatch" "the data.h5" -qo nothing
over
equal "what saves nothing is not begun for ever" "$(ended) $(field Restarts)" "FAILED 75:0 0"
says "and it says what would do" "slurm-$job.out" "it needs more --time"
submit -- -n 1 "$jobs/requeue.sbatch" "no data.h5" -qo nothing
over
equal "what no other start would mend ends it" "$(ended)" "FAILED 66:0"
submit -- -n 1 "$jobs/requeue.sbatch" "the data.h5" "${small[@]}"
over
equal "without -o" "$(ended)" "FAILED 64:0"
says "it says what would do" "slurm-$job.out" "give -o RUN"
submit CAROUSEL=/no/such/program -- -n 1 "$jobs/train.sbatch" "the data.h5" -o x
over
equal "without the program" "$(ended)" "FAILED 66:0"
says "it says where to name it" "slurm-$job.out" "CAROUSEL=FILE sbatch"

# ---- the others ----

submit -- --array=3,7 "$jobs/array.sbatch" "the data.h5" -qo "seeds of" "${small[@]}" --steps=2
array=$job
over
submit -- -N 2 -n 2 -c 2 "$jobs/hybrid.sbatch" "the data.h5" -o hybrid "${small[@]}"
over
equal "ranks of several threads" "$(ended)" "COMPLETED 0:0"
says "two each" "slurm-$job.out" "ranks: 2 with 2 threads each"
equal "the same bits" "$(digest hybrid/last.h5)" "$(digest undisturbed/last.h5)"
submit CAROUSEL_LAUNCH=mpirun -- -N 2 -n 4 "$jobs/train.sbatch" "the data.h5" -o "by mpirun" "${small[@]}"
over
equal "by mpirun" "$(ended)" "COMPLETED 0:0"
says "four ranks on two nodes" "slurm-$job.out" ": 4 ranks on n[1-2] by mpirun"
equal "the same bits again" "$(digest "by mpirun/last.h5")" "$(digest undisturbed/last.h5)"
submit -- -n 3 "$jobs/train.sbatch" "the data.h5" -q -o once "${small[@]}" --stop-after=0.001
over
equal "a job that does not come back has the status 75" "$(ended)" "FAILED 75:0"
says "and says what would do" "slurm-$job.out" "the same sbatch goes on"
job=$array
over
for seed in 3 7; do
    "$CAROUSEL" train "the data.h5" -qo "own $seed" --seed="$seed" "${small[@]}" --steps=2
    equal "seed $seed of an array" "$(digest "seeds of-$seed/last.h5")" "$(digest "own $seed/last.h5")"
done

# ---- tasks that are not told of each other ----

untold() {
    srun -n 4 --mpi=none "$CAROUSEL" train "the data.h5" -o alone 2> srun.err
    local ended=$?
    grep -v '^srun: ' srun.err >&2
    return "$ended"
}
refused 64 "srun without PMIx" "4 tasks --mpi=pmix mpirun" untold
expect 0 "with PMIx" srun -n 2 -c 2 --mpi=pmix "$CAROUSEL" train "the data.h5" -o told "${small[@]}"
says "as many threads as a task has processors" "$err" "ranks: 2 with 2 threads each"
expect 0 "with a processor a task" srun -n 2 --mpi=pmix "$CAROUSEL" train "the data.h5" -o told-1 "${small[@]}"
says "one thread" "$err" "ranks: 2 with 1 thread each"
expect 0 "one task by itself" srun -n 1 "$CAROUSEL" train "the data.h5" -o one "${small[@]}"

# ---- down ----

processes=$(cat "$WORK/bed/slurm"/*.pid "$WORK/bed/slurm/munge/pid")
expect 0 "down" bed down
# shellcheck disable=SC2086
check "no process is left" bash -c '! kill -0 "$@" 2> /dev/null' _ $processes
check "nor a file" test ! -e "$WORK/bed"
finish
