/* Meaning, units and gates of a data set, from its path. */
#include "config.h"

#include <string.h>

#include "checkpoint/image.h"

typedef struct phrase {
    const char *begins, *ends, *text;
} phrase;

/* The first that fits counts. */
static const phrase meanings[] = {
    {"/config", "", "every option in force, as INI"},
    {"/vocabulary", "", "the character or word of each token; the empty string is U+0000"},
    {"/model/embedding/", "", "one row for each token: what the first layer reads"},
    {"/model/layers/", "/weight_ih", "weights of the layer's input, a block of rows for each gate"},
    {"/model/layers/", "/weight_hh", "weights of the layer's own state, a block of rows for each gate"},
    {"/model/layers/", "/bias_ih", "bias, a block for each gate"},
    {"/model/layers/", "/bias_hh", "bias of the product with the state, a block for each gate"},
    {"/model/layers/", "/peephole", "weights of the cell's state in each gate"},
    {"/model/output/", "/weight", "one row for each token: the state's part in its score"},
    {"/model/output/", "/bias", "the score of each token at a state of zero"},
    {"/optimizer/adam/first_moment/", "", "running mean of the gradient"},
    {"/optimizer/adam/second_moment/", "", "running mean of the squared gradient"},
    {"/optimizer/rmsprop/", "", "running mean of the squared gradient"},
    {"/optimizer/sgd/", "", "velocity: gradients summed, older ones less"},
    {"/optimizer/adagrad/", "", "sum of the squared gradients"},
    {"/state/hidden", "",
     "carried state, a row for each row of the batch: layer after layer, h and then c where there is one"},
    {"/state/updates", "", "updates that the optimizer has made"},
    {"/state/window", "", "window of the epoch that comes next, from 0: the position in the data"},
    {"/state/refused_in_a_row", "", "steps refused just before, without one made in between"},
    {"/run/schedule_total", "", "length of the schedule, fixed by the first run's end"},
    {"/run/refused", "", "steps refused so far"},
    {"/run/owes_validation", "", "1: a validation was due at this step, and is yet to be made"},
    {"/run/", "seconds", "time spent so far"},
    {"/history/step", "", "when it was validated"},
    {"/history/validation_loss", "", "on the validation split, at each of /history/step"},
    {"/history/training_loss", "", "mean since the validation before, at each of /history/step"},
    {"/history/rate_step", "",
     "from which step on there was each of /history/rate; absent where the rate never changed"},
    {"/history/rate", "", "--rate, the highest of the schedule, from each of /history/rate_step on"},
    {"/history/mean_loss_sum", "", "of the steps since the last validation"},
    {"/history/mean_loss_count", "", "steps since the last validation"},
};

static const phrase units[] = {
    {"/config", "", ""},
    {"/vocabulary", "", "character or word"},
    {"/model/", "", "1"},
    {"/optimizer/", "", "1"},
    {"/state/hidden", "", "1"},
    {"/state/window", "", "windows"},
    {"/", "loss", "nats a token"},
    {"/", "loss_sum", "nats a token"},
    {"/", "seconds", "s"},
    {"/", "step", "steps"},
    {"/", "schedule_total", "steps"},
};

/* "" where it is not known. */
static const char *find(const phrase *table, size_t count, const char *path) {
    size_t length = strlen(path);
    for (size_t i = 0; i < count; i++) {
        size_t tail = strlen(table[i].ends);
        if (strncmp(path, table[i].begins, strlen(table[i].begins)) == 0 && length >= tail &&
            strcmp(path + length - tail, table[i].ends) == 0)
            return table[i].text;
    }
    return "";
}

/* The gates, in the order in which their rows stand, of a data set that has a block of rows for each; "" otherwise. */
static const char *find_gates(const char *path, const char *cell) {
    static const char layers[] = "/layers/";
    const char *layer = strstr(path, layers);
    if (!layer || (strncmp(path, "/model/", 7) != 0 && strncmp(path, "/optimizer/", 11) != 0))
        return "";
    const char *name = strrchr(path, '/');
    if (strcmp(name, "/peephole") == 0)
        return "i f o";
    if (strcmp(cell, "lstm") == 0 || strcmp(cell, "peephole") == 0)
        return "i f g o";
    return strcmp(cell, "gru") == 0 ? "r z n" : "";
}

bool crs_describe(hid_t set, const char *path, const char *cell) {
    const char *meaning = find(meanings, sizeof meanings / sizeof *meanings, path),
               *unit = find(units, sizeof units / sizeof *units, path), *gates = find_gates(path, cell);
    return (!*meaning || crs_h5_put_text(set, "description", meaning)) &&
           (!*unit || crs_h5_put_text(set, "units", unit)) && (!*gates || crs_h5_put_text(set, "gates", gates));
}
