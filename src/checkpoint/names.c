/* Whether last.h5 and best.h5 are what they should be, and making them so. A run can be killed between any two steps
 * of a save; what it had not got to can be worked out from what the checkpoints record, as long as nothing is pruned
 * before. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/disk.h"
#include "checkpoint/folder.h"

/* ---- what a checkpoint records of validations ---- */

typedef struct history {
    int64_t count;
    const int64_t *step;
    const double *loss;
} history;

static history history_of(const crs_checkpoint *checkpoint) {
    const crs_array *step = crs_checkpoint_find(checkpoint, "/history/step");
    const crs_array *loss = crs_checkpoint_find(checkpoint, "/history/validation_loss");
    if (!step || !loss || step->type != CRS_I64 || loss->type != CRS_F64 ||
        crs_array_size(step) != crs_array_size(loss))
        return (history){0};
    return (history){.count = crs_array_size(step), .step = step->values, .loss = loss->values};
}

/* NaN where the step was not validated, or gave no number. */
static double loss_of_step(const history *h, int64_t step) {
    for (int64_t i = h->count - 1; i >= 0; i--)
        if (h->step[i] == step)
            return isfinite(h->loss[i]) ? h->loss[i] : NAN;
    return NAN;
}

int64_t crs_run_best_step(const crs_checkpoint *checkpoint) {
    const history h = history_of(checkpoint);
    for (int64_t i = 0; i < h.count; i++)
        if (h.loss[i] == checkpoint->best_validation_loss)
            return h.step[i];
    return -1;
}

/* ---- which file should be best.h5 ---- */

/* best.h5 before other files of the same checkpoint. */
static int lowest_loss_first(const void *a, const void *b) {
    const crs_run_file *x = a, *y = b;
    if (x->loss != y->loss)
        return (x->loss > y->loss) - (x->loss < y->loss);
    return x->step != y->step ? (x->step > y->step) - (x->step < y->step) : strcmp(x->name, y->name);
}

/* Leaves the files of steps that were validated, the lowest loss first. */
static void rank_by_loss(crs_run_files *files, const char *run, const history *h) {
    int kept = 0;
    for (int i = 0; i < files->count; i++) {
        crs_run_file *file = &files->file[i];
        file->step = crs_run_ask_step(run, file);
        file->loss = loss_of_step(h, file->step);
        if (!isnan(file->loss))
            files->file[kept++] = *file;
    }
    files->count = kept;
    if (kept)
        qsort(files->file, (size_t)kept, sizeof *files->file, lowest_loss_first);
}

/* Whether the file is whole, and was written after the validation that gave this loss; the newest is known to be. */
static crs_status is_validated(const char *run, const crs_run_file *file, const char *newest_path, bool *validated,
                               crs_error *error) {
    const char *path = crs_run_path(run, file->name);
    crs_checkpoint found;
    *validated = crs_disk_same(path, newest_path);
    if (*validated)
        return CRS_OK;
    const crs_status status = crs_checkpoint_read(path, &found, error);
    if (status == CRS_DATA || status == CRS_NO_INPUT) {
        crs_warn("%s; passed over", error->message);
        error->status = CRS_OK;
        return CRS_OK;
    }
    if (status)
        return status;
    const history h = history_of(&found);
    *validated = found.step == file->step && loss_of_step(&h, file->step) == file->loss;
    crs_checkpoint_free(&found);
    return CRS_OK;
}

static void say_lost(const char *run, const crs_checkpoint *newest, const crs_run_file *left) {
    const long long step = (long long)crs_run_best_step(newest);
    const double loss = newest->best_validation_loss;
    if (left)
        crs_warn("%s: the checkpoint with the lowest validation loss (%.4f, step %lld) is not there any more; "
                 "the best that is left is of step %lld (%.4f)",
                 run, loss, step, (long long)left->step, left->loss);
    else
        crs_warn("%s: the checkpoint with the lowest validation loss (%.4f, step %lld) is not there any more, and no "
                 "other that was validated; the next validation makes another best.h5",
                 run, loss, step);
}

/* Without a history that knows the lowest loss there is nothing to go by, and all stays as it is. */
static crs_status find_best(const char *run, crs_checkpoint *newest, const char *path, crs_run_files *files,
                            char best[CRS_RUN_NAME], crs_error *error) {
    const history h = history_of(newest);
    const crs_run_file *found = NULL;
    if (crs_run_best_step(newest) < 0)
        return CRS_OK;
    rank_by_loss(files, run, &h);
    for (int i = 0; i < files->count && !found; i++) {
        bool validated;
        if (is_validated(run, &files->file[i], path, &validated, error))
            return error->status;
        if (validated)
            found = &files->file[i];
    }
    if (!found || found->loss > newest->best_validation_loss)
        say_lost(run, newest, found);
    newest->best_validation_loss = found ? found->loss : NAN;
    if (found && strcmp(found->name, CRS_RUN_BEST) != 0)
        memcpy(best, found->name, CRS_RUN_NAME);
    return CRS_OK;
}

/* ---- both names ---- */

crs_status crs_run_check_names(const char *run, crs_checkpoint *newest, const char *path, crs_run_names *names,
                               crs_error *error) {
    crs_run_files files;
    *names = (crs_run_names){0};
    if (crs_run_list(&files, run, error))
        return error->status;
    names->remains = files.remains;
    if (!crs_disk_same(path, crs_run_path(run, CRS_RUN_LAST)))
        snprintf(names->last, sizeof names->last, "%s", strrchr(path, '/') + 1);
    const crs_status status = find_best(run, newest, path, &files, names->best, error);
    crs_run_files_free(&files);
    return status;
}

bool crs_run_names_right(const crs_run_names *names) {
    return !*names->last && !*names->best && !names->remains;
}

static crs_status mend(const char *run, const char *name, const char *alias, crs_error *error) {
    if (!*name)
        return CRS_OK;
    const crs_status status = crs_run_alias(run, name, alias, error);
    if (!status)
        crs_note("put right: %s/%s is %s", run, alias, name);
    return status;
}

crs_status crs_run_mend_names(const char *run, const crs_run_names *names, crs_error *error) {
    const bool from_best = strcmp(names->last, CRS_RUN_BEST) == 0; /* then it comes before best.h5 is another */
    if (names->remains)
        crs_run_sweep(run);
    if ((from_best && mend(run, names->last, CRS_RUN_LAST, error)) || mend(run, names->best, CRS_RUN_BEST, error) ||
        (!from_best && mend(run, names->last, CRS_RUN_LAST, error)))
        return error->status;
    return CRS_OK;
}
