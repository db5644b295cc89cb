# How ranks are started on one machine; sourced by tests/lib.sh and scripts/quickstart, not run. Bash.
# MPIRUN: the launcher (mpirun). launcher_flags: what is put before `-n N`.

: "${MPIRUN:=mpirun}"
export MPIRUN

# Shared memory by reading the other process needs a right that containers withhold.
export OMPI_MCA_btl_vader_single_copy_mechanism="${OMPI_MCA_btl_vader_single_copy_mechanism:-none}"
if [ "$(id -u)" -eq 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

is_open_mpi() {
    "$MPIRUN" --version 2> /dev/null | grep -q 'Open MPI\|OpenRTE'
}

launcher_flags=()
