/* Lists of names that a data set of sequences has: of columns, targets and classes; and their units. */
#include "config.h"

#include "data/columns.h"

#include "data/dictionary.h"
#include "store/names_file.h"

static const char again[] = "pack it again";

/* Two of a name could not be told apart in any report, nor a model's data from others. */
static crs_status check_unique(const crs_dataset *d, const char *path, const crs_names *names, crs_error *error) {
    crs_dictionary seen = {0};
    bool added = true;
    for (int i = 0; i < names->count && error->status == CRS_OK; i++) {
        const int known = crs_dictionary_add(&seen, names->name[i], &added);
        if (known < 0)
            crs_fail(error, CRS_INTERNAL, "out of memory for a list of names");
        else if (!added)
            crs_fail(error, CRS_DATA, "%s: /%s[%d] and /%s[%d] are both '%.60s'; give each a name of its own", d->path,
                     path, known, path, i, names->name[i]);
    }
    crs_dictionary_free(&seen);
    return error->status;
}

crs_status crs_columns_read(const crs_dataset *d, const char *path, crs_names *names, crs_error *error) {
    if (crs_names_read(d->file->file, d->path, path, false, again, names, error))
        return error->status;
    for (int i = 0; i < names->count; i++)
        crs_utf8_mend(names->name[i]);
    return check_unique(d, path, names, error);
}

crs_status crs_units_read(const crs_dataset *d, const char *path, int count, crs_names *units, crs_error *error) {
    if (crs_names_attribute(d->file->file, d->path, path, "units", count, units, error))
        return error->status;
    for (int i = 0; i < units->count; i++)
        crs_utf8_mend(units->name[i]);
    return CRS_OK;
}
