/* bench: what is measured, and in which order. */
#include "config.h"

#include "bench/bench.h"
#include "train/plan.h"

enum { CASES = 3 };

typedef struct cases {
    crs_config config[CASES];
    int count;
    crs_bench_result result[CASES];
} cases;

/* The models where options choose none: each rank has 16 rows at least. The baseline is a hundred times slower: a small
 * one. */
static void choose_cases(const crs_bench_team *team, const crs_bench_request *r, cases *c) {
    static const int standard[CASES][4] = {{2, 512, 32, 64}, {2, 128, 50, 50}, {1, 1024, 64, 64}};
    static const char *const choosing[] = {"hidden", "layers", "embed", "batch", "window", "lane", "lanes"};
    const int least = 16 * crs_comm_size(team->comm);
    const bool slow = team->kernels->isa == CRS_ISA_BASELINE;
    c->count = slow ? 1 : CASES;
    for (int i = 0; i < CASES; i++) {
        const int *s = standard[i], batch = slow ? 16 : s[2];
        c->config[i] = r->settings.config;
        c->config[i].layers = slow ? 1 : s[0];
        c->config[i].hidden = slow ? 64 : s[1];
        c->config[i].batch = batch > least ? batch : least;
        c->config[i].window = slow ? 16 : s[3];
    }
    if (r->comm)
        c->count = 1;
    for (size_t i = 0; i < sizeof choosing / sizeof *choosing; i++)
        if (r->settings.given[crs_option_find(choosing[i])]) {
            c->count = 1;
            c->config[0] = r->settings.config;
        }
}

static crs_status describe(const crs_bench_request *r, const crs_config *config, crs_bench_case *of, crs_error *error) {
    const crs_schema schema = crs_schema_text((uint32_t)r->vocabulary);
    *of = (crs_bench_case){.config = config};
    if (crs_plan_spec(config, &schema, &of->shape, error))
        return error->status;
    of->batch = (int)config->batch;
    of->window = (int)config->window;
    crs_note("measuring %s, %d x %d", crs_cell_name(of->shape.cell), of->shape.layers, of->shape.hidden);
    return CRS_OK;
}

static crs_status measure_comm(const crs_bench_team *team, const crs_bench_request *r, const cases *c,
                               crs_error *error) {
    crs_bench_case of;
    crs_bench_communication result;
    if (describe(r, &c->config[0], &of, error) || crs_bench_communicate(team, &of, r, &result, error))
        return error->status;
    if (crs_comm_rank(team->comm) == 0 && r->json)
        crs_bench_communication_json(team, &result);
    else if (crs_comm_rank(team->comm) == 0)
        crs_bench_print_communication(team, &result);
    return CRS_OK;
}

/* Steps first: they know whether the sizes can be had. */
static crs_status measure(const crs_bench_team *team, const crs_bench_request *r, cases *c, crs_error *error) {
    crs_bench_machine machine;
    const bool first = crs_comm_rank(team->comm) == 0;
    crs_note("measuring the machine");
    if (crs_bench_machine_measure(team, &machine, error))
        return error->status;
    if (first && !r->json)
        crs_bench_print_machine(team, &machine);
    fflush(stdout);
    for (int i = 0; i < c->count; i++) {
        crs_bench_result *result = &c->result[i];
        if (describe(r, &c->config[i], &result->of, error) ||
            crs_bench_steps(team, &result->of, r->seconds, &result->step, error) ||
            crs_bench_kernels(team, &result->of, &result->kernels, error))
            return error->status;
        if (first && !r->json)
            crs_bench_print_result(team, result);
        fflush(stdout);
    }
    if (first && r->json)
        crs_bench_print_json(team, &machine, c->result, c->count);
    return CRS_OK;
}

crs_status crs_bench(crs_comm *comm, const crs_kernels *kernels, const crs_bench_request *request, crs_error *error) {
    const crs_bench_team team = {comm, kernels, crs_comm_threads(comm, (int)request->settings.config.threads)};
    cases *c = crs_alloc_or_fail(1, sizeof *c, CRS_MEMORY_OTHER, "results", error);
    if (c)
        choose_cases(&team, request, c);
    if (crs_comm_agree(comm, error) == CRS_OK && request->comm)
        measure_comm(&team, request, c, error);
    else if (error->status == CRS_OK)
        measure(&team, request, c, error);
    crs_free(&c);
    return error->status;
}
