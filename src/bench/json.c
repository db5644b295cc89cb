/* bench: for a machine. Seconds, operations and bytes a second in units of 10^9. */
#include "config.h"

#include <jansson.h>

#include "bench/bench.h"

static const double giga = 1e-9;

static json_t *memory_json(const crs_bench_machine *machine) {
    json_t *list = json_array();
    for (int i = 0; i < CRS_BENCH_LEVELS; i++) {
        const crs_bench_level *l = &machine->level[i];
        json_array_append_new(list, json_pack("{s:s, s:I, s:f, s:f}", "level", l->name, "bytes", (json_int_t)l->bytes,
                                              "gbytes_one", l->one * giga, "gbytes_all", l->all * giga));
    }
    return list;
}

static json_t *kernels_json(const crs_bench_list *kernels) {
    json_t *list = json_array();
    for (int i = 0; i < kernels->count; i++) {
        const crs_bench_kernel *k = &kernels->kernel[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:f, s:f, s:f}", "name", k->name, "unit",
                                              k->products ? "GFLOP/s" : "GB/s", "rate", k->rate * giga, "limit",
                                              k->limit * giga, "fraction_of_limit", k->rate / k->limit));
    }
    return list;
}

static json_t *phases_json(const crs_bench_step *s) {
    json_t *object = json_object();
    for (int i = 0; i < CRS_PHASES; i++)
        json_object_set_new(object, crs_phase_name((crs_phase)i),
                            json_pack("{s:f, s:f}", "seconds", s->phase[i], "gflops",
                                      s->phase[i] > 0 ? s->operations[i] / s->phase[i] * giga : 0));
    return object;
}

static json_t *bytes_json(const crs_bench_step *s) {
    json_t *object = json_object();
    int64_t all = 0;
    for (int i = 0; i < CRS_MEMORY_PURPOSES; i++) {
        json_object_set_new(object, crs_purpose_name((crs_purpose)i), json_integer(s->bytes[i]));
        all += s->bytes[i];
    }
    json_object_set_new(object, "all", json_integer(all));
    return object;
}

static json_t *rows_json(const crs_bench_list *kernels) {
    json_t *list = json_array();
    for (int i = 0; i < CRS_BENCH_ROWS; i++)
        json_array_append_new(list, json_pack("{s:i, s:f}", "rows", 2 << i, "fraction_of_peak", kernels->of_rows[i]));
    return list;
}

static json_t *result_json(const crs_bench_result *r) {
    const crs_bench_step *s = &r->step;
    const crs_spec *shape = &r->of.shape;
    const double rate = s->operations_of_all / s->seconds;
    json_t *object = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:I}", "cell", crs_cell_name(shape->cell),
                               "hidden", shape->hidden, "layers", shape->layers, "embed", shape->embed, "vocabulary",
                               shape->outputs, "batch", r->of.batch, "window", r->of.window, "dropout",
                               r->of.config->dropout, "parameters", (json_int_t)s->parameters);
    json_t *step = json_pack("{s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:o, s:o, s:o}", "steps",
                             s->steps, "seconds", s->seconds, "float_seconds", s->float_seconds, "exact_cost",
                             s->seconds / s->float_seconds - 1, "apart_seconds", s->apart_seconds, "sent_bytes",
                             s->sent, "spread", s->spread, "tokens_per_second",
                             (double)r->of.batch * r->of.window / s->seconds, "gflops", rate * giga, "peak_gflops",
                             s->peak * giga, "fraction_of_peak", rate / s->peak, "phases", phases_json(s), "kernels",
                             kernels_json(&r->kernels), "rows", rows_json(&r->kernels), "bytes", bytes_json(s));
    json_object_update(object, step);
    json_decref(step);
    return object;
}

void crs_bench_print_json(const crs_bench_team *team, const crs_bench_machine *machine, const crs_bench_result *results,
                          int count) {
    json_t *models = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(models, result_json(&results[i]));
    json_t *object = json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:o, s:o}", "processor", machine->processor, "isa",
                               crs_isa_name(team->kernels->isa), "ranks", crs_comm_size(team->comm), "threads",
                               team->threads, "peak_gflops_one", machine->peak_one * giga, "peak_gflops_all",
                               machine->peak_all * giga, "memory", memory_json(machine), "models", models);
    CRS_ASSERT(object);
    json_dumpf(object, stdout, JSON_REAL_PRECISION(6) | JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}
