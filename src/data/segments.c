/* From segments of sequences to a batch: the longest first, time by time. */
#include "config.h"

#include <string.h>

#include "data/segments.h"

/* ---- whole sequences ---- */

int64_t crs_dataset_rows(const crs_dataset *d, crs_split split) {
    const crs_sequences *s = &d->sequences[split];
    return crs_schema_is_forecast(&d->schema) ? s->windows : s->count;
}

static int64_t lead_of(const crs_sequences *s, int64_t n) {
    return s->lead ? s->lead[n] : 0;
}

int64_t crs_start_before(const int64_t *start, int64_t count, int64_t at) {
    int64_t low = 0, end = count;
    while (end - low > 1) {
        const int64_t middle = low + (end - low) / 2;
        if (start[middle] <= at)
            low = middle;
        else
            end = middle;
    }
    return low;
}

static crs_segment window_at(const crs_dataset *d, const crs_sequences *s, int64_t window) {
    const int64_t n = crs_start_before(s->window_start, s->count, window);
    return (crs_segment){.sequence = n,
                         .first = crs_first_window(&d->schema, s, n) + window - s->window_start[n],
                         .steps = (int)d->schema.context};
}

crs_segment crs_whole_segment(const crs_dataset *d, crs_split split, int64_t row) {
    const crs_sequences *s = &d->sequences[split];
    crs_segment segment = {.sequence = row};
    if (crs_schema_is_forecast(&d->schema))
        segment = window_at(d, s, row);
    else
        segment.steps = (int)(s->length[row] - (d->schema.targets == CRS_TARGET_NEXT));
    segment.from = segment.to = -1;
    return segment;
}

int64_t crs_whole_longest(const crs_dataset *d, crs_split split) {
    if (crs_schema_is_forecast(&d->schema))
        return d->schema.context;
    const int64_t longest = d->sequences[split].longest - (d->schema.targets == CRS_TARGET_NEXT);
    return longest > 1 ? longest : 1;
}

/* ---- memory ---- */

/* Of all that is kept of a split: inputs have most of it. */
enum { PAGES_BYTES = 128 << 20, OTHER_BYTES = 32 << 20 };

static bool by_step(const crs_segments *g) {
    return g->dataset->schema.alignment == CRS_ALIGN_STEP;
}

static bool is_next(const crs_segments *g) {
    return g->dataset->schema.targets == CRS_TARGET_NEXT;
}

/* Whether targets have a weight of their own. */
static bool weighs(const crs_segments *g) {
    const crs_sequences *s = &g->dataset->sequences[g->split];
    return s->has_weights || (s->lead && by_step(g));
}

static int target_width(const crs_segments *g) {
    return crs_schema_numbers(&g->dataset->schema);
}

static bool allocate(crs_segments *g, const crs_feed_size *most) {
    const size_t rows = (size_t)most->rows, pairs = (size_t)most->pairs, real = sizeof(float);
    const size_t targets = by_step(g) ? pairs : rows;
    g->segment = crs_alloc(rows, sizeof *g->segment, CRS_MEMORY_DATA);
    g->sorted = crs_alloc(rows, sizeof *g->sorted, CRS_MEMORY_DATA);
    g->start = crs_alloc((size_t)most->steps + 2, sizeof *g->start, CRS_MEMORY_DATA);
    g->lane_starts = crs_alloc((size_t)g->lanes + 2, sizeof *g->lane_starts, CRS_MEMORY_DATA);
    g->lane_row = crs_alloc(rows, sizeof *g->lane_row, CRS_MEMORY_DATA);
    g->from = crs_alloc(rows, sizeof *g->from, CRS_MEMORY_DATA);
    g->to = crs_alloc(rows, sizeof *g->to, CRS_MEMORY_DATA);
    g->row_id = crs_alloc(rows, sizeof *g->row_id, CRS_MEMORY_DATA);
    g->input = crs_alloc(pairs * (size_t)g->inputs.width, real, CRS_MEMORY_DATA);
    g->target = crs_alloc(targets * (size_t)target_width(g), real, CRS_MEMORY_DATA);
    g->weight = crs_alloc(weighs(g) ? targets : 0, real, CRS_MEMORY_DATA);
    g->base = crs_alloc(g->change ? rows * (size_t)g->dataset->schema.target_size : 0, real, CRS_MEMORY_DATA);
    return g->segment && g->sorted && g->start && g->lane_starts && g->lane_row && g->from && g->to && g->row_id &&
           g->input && g->target && g->weight && g->base;
}

double crs_segments_memory(const crs_dataset *dataset, crs_split split) {
    static const struct {
        crs_part part;
        size_t bytes;
    } parts[] = {{CRS_PART_INPUTS, PAGES_BYTES}, {CRS_PART_TARGETS, OTHER_BYTES}, {CRS_PART_WEIGHTS, OTHER_BYTES}};
    double bytes = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const crs_set *set = crs_part_of(dataset, split, parts[i].part);
        bytes += set ? crs_pages_memory(set, parts[i].bytes) : 0;
    }
    return bytes;
}

crs_status crs_segments_create(crs_segments *g, const crs_dataset *dataset, const crs_feed_plan *plan,
                               const crs_feed_size *most, int lanes, crs_error *error) {
    const crs_schema *schema = &dataset->schema;
    *g = (crs_segments){
        .dataset = dataset, .split = plan->split, .change = plan->change, .rows = most->rows, .lanes = lanes};
    if (crs_pages_open(&g->inputs, dataset, plan->split, CRS_PART_INPUTS, PAGES_BYTES, error))
        return error->status;
    if (!is_next(g) && !crs_schema_is_forecast(schema) &&
        crs_pages_open(&g->targets, dataset, plan->split, CRS_PART_TARGETS, OTHER_BYTES, error))
        return error->status;
    if (dataset->sequences[plan->split].has_weights &&
        crs_pages_open(&g->weights, dataset, plan->split, CRS_PART_WEIGHTS, OTHER_BYTES, error))
        return error->status;
    return allocate(g, most) ? CRS_OK : crs_fail(error, CRS_INTERNAL, "out of memory for the sequences of a step");
}

void crs_segments_free(crs_segments *g) {
    crs_pages_close(&g->inputs);
    crs_pages_close(&g->targets);
    crs_pages_close(&g->weights);
    crs_free(&g->segment);
    crs_free(&g->sorted);
    crs_free(&g->start);
    crs_free(&g->lane_starts);
    crs_free(&g->lane_row);
    crs_free(&g->from);
    crs_free(&g->to);
    crs_free(&g->row_id);
    crs_free(&g->input);
    crs_free(&g->target);
    crs_free(&g->weight);
    crs_free(&g->base);
}

/* ---- order ---- */

/* The longest first, equal ones as they came: by counting. start is made on the way: pairs before each time. */
static int sort(crs_segments *g) {
    int longest = 0;
    for (int i = 0; i < g->count; i++)
        longest = g->segment[i].steps > longest ? g->segment[i].steps : longest;
    int *place = g->start; /* of a length L, at [longest - L + 1]: segments that are longer */
    memset(place, 0, ((size_t)longest + 2) * sizeof *place);
    for (int i = 0; i < g->count; i++)
        place[longest - g->segment[i].steps + 1]++;
    for (int i = 1; i <= longest; i++)
        place[i] += place[i - 1];
    for (int i = 0; i < g->count; i++)
        g->sorted[place[longest - g->segment[i].steps]++] = g->segment[i];
    crs_segment *swap = g->segment;
    g->segment = g->sorted;
    g->sorted = swap;
    int running = g->count;
    g->start[0] = g->start[1] = 0;
    for (int t = 0; t < longest; t++) {
        while (running > 0 && g->segment[running - 1].steps <= t)
            running--;
        g->start[t + 1] = g->start[t] + running;
    }
    return longest;
}

/* Each lane's rows, ascending: the longest first. */
static void list_lanes(crs_segments *g, int lanes) {
    memset(g->lane_starts, 0, ((size_t)lanes + 1) * sizeof *g->lane_starts);
    for (int i = 0; i < g->count; i++)
        g->lane_starts[g->segment[i].lane + 1]++;
    for (int lane = 0; lane < lanes; lane++)
        g->lane_starts[lane + 1] += g->lane_starts[lane];
    for (int i = g->count - 1; i >= 0; i--) /* from behind, so that starts become starts again */
        g->lane_row[--g->lane_starts[g->segment[i].lane + 1]] = i;
    for (int lane = 0; lane < lanes; lane++)
        g->lane_starts[lane] = g->lane_starts[lane + 1];
    g->lane_starts[lanes] = g->count;
}

/* ---- numbers ---- */

static ptrdiff_t pair_of(const crs_segments *g, int t, int row) {
    return g->start[t] + row;
}

/* Steps first .. first + steps - 1 of the split to the pairs of a row. */
static crs_status spread(crs_segments *g, crs_pages *pages, int64_t first, int row, int steps, void *out,
                         crs_error *error) {
    const size_t width = (size_t)pages->width, bytes = width * sizeof(float);
    int64_t part = 0;
    for (int t = 0; t < steps; t += (int)part) {
        const char *from = crs_pages_at(pages, first + t, &part, error);
        if (!from)
            return error->status;
        part = part < steps - t ? part : steps - t;
        for (int64_t i = 0; i < part; i++)
            memcpy((char *)out + (size_t)pair_of(g, t + (int)i, row) * bytes, from + (size_t)i * bytes, bytes);
    }
    return CRS_OK;
}

/* Behind its context, the next steps of the target columns, as one vector. */
static crs_status read_horizon(crs_segments *g, int64_t first, int row, crs_error *error) {
    const crs_schema *s = &g->dataset->schema;
    float *to = (float *)g->target + (ptrdiff_t)row * target_width(g);
    int64_t part;
    for (int64_t h = 0; h < s->horizon; h++) {
        const float *from = crs_pages_at(&g->inputs, first + h, &part, error);
        if (!from)
            return error->status;
        for (int k = 0; k < s->target_size; k++)
            *to++ = from[s->target_columns[k]];
    }
    return CRS_OK;
}

/* The last value of each column is taken from that column, and from the targets. */
static void subtract(crs_segments *g, int row, int steps) {
    const crs_schema *s = &g->dataset->schema;
    const int width = s->input_size, k_count = s->target_size;
    float *inputs = g->input, *last = inputs + pair_of(g, steps - 1, row) * width, *target = g->target;
    float *base = g->base + (ptrdiff_t)row * k_count;
    for (int k = 0; k < k_count; k++)
        base[k] = last[s->target_columns[k]];
    for (int t = 0; t < steps; t++) /* the last step itself at the end */
        for (int j = 0; j < width; j++)
            inputs[pair_of(g, t, row) * width + j] -= last[j];
    target += (ptrdiff_t)row * target_width(g);
    for (int i = 0; i < target_width(g); i++)
        target[i] -= base[i % k_count];
}

static crs_status read_targets(crs_segments *g, const crs_segment *segment, int row, crs_error *error) {
    const int64_t start = g->dataset->sequences[g->split].start[segment->sequence] + segment->first;
    const size_t width = (size_t)target_width(g) * sizeof(float);
    if (crs_schema_is_forecast(&g->dataset->schema)) {
        if (read_horizon(g, start + segment->steps, row, error) == CRS_OK && g->change)
            subtract(g, row, segment->steps);
        return error->status;
    }
    if (is_next(g))
        return spread(g, &g->inputs, start + 1, row, segment->steps, g->target, error);
    if (by_step(g))
        return spread(g, &g->targets, start, row, segment->steps, g->target, error);
    return crs_pages_copy(&g->targets, segment->sequence, 1, (char *)g->target + (size_t)row * width, error);
}

/* A target that lies in the lead is none; that of `next` lies a step later. */
static crs_status read_weights(crs_segments *g, const crs_segment *segment, int row, crs_error *error) {
    const crs_sequences *s = &g->dataset->sequences[g->split];
    float each = 1;
    if (s->has_weights && !s->weights_by_step && crs_pages_copy(&g->weights, segment->sequence, 1, &each, error))
        return error->status;
    if (!by_step(g)) {
        g->weight[row] = each;
        return CRS_OK;
    }
    for (int t = 0; t < segment->steps; t++)
        g->weight[pair_of(g, t, row)] = each;
    if (s->has_weights && s->weights_by_step &&
        spread(g, &g->weights, s->start[segment->sequence] + segment->first, row, segment->steps, g->weight, error))
        return error->status;
    const int64_t lead = lead_of(s, segment->sequence);
    for (int t = 0; t < segment->steps && segment->first + t + is_next(g) < lead; t++)
        g->weight[pair_of(g, t, row)] = 0;
    return CRS_OK;
}

static crs_status read_row(crs_segments *g, int row, crs_error *error) {
    const crs_segment *segment = &g->segment[row];
    const int64_t start = g->dataset->sequences[g->split].start[segment->sequence] + segment->first;
    if (spread(g, &g->inputs, start, row, segment->steps, g->input, error) || read_targets(g, segment, row, error))
        return error->status;
    return weighs(g) ? read_weights(g, segment, row, error) : CRS_OK;
}

/* ---- a batch ---- */

static crs_series series_of(const void *numbers, bool tokens) {
    return tokens ? (crs_series){.tokens = numbers} : (crs_series){.numbers = numbers};
}

crs_status crs_segments_fill(crs_segments *g, int lanes, crs_batch *batch, crs_error *error) {
    const crs_schema *schema = &g->dataset->schema;
    const bool tokens = schema->inputs == CRS_INPUT_TOKENS;
    CRS_ASSERT(g->count <= g->rows && lanes <= g->lanes);
    batch->steps = sort(g);
    batch->rows = g->count;
    batch->start = g->start;
    batch->input = series_of(g->input, tokens);
    batch->target = series_of(g->target, crs_schema_says_one(schema));
    batch->weight = weighs(g) ? g->weight : NULL;
    batch->row_id = g->row_id;
    batch->state_from = g->from;
    batch->state_to = g->to;
    if (lanes > 0) {
        list_lanes(g, lanes);
        batch->lanes = lanes;
        batch->lane_starts = g->lane_starts;
        batch->lane_row = g->lane_row;
    }
    for (int row = 0; row < g->count; row++) {
        g->row_id[row] = g->segment[row].id;
        g->from[row] = g->segment[row].from;
        g->to[row] = g->segment[row].to;
        if (read_row(g, row, error))
            return error->status;
    }
    if (batch->steps == 0)
        batch->steps = 1; /* a pass without rows */
    return CRS_OK;
}

crs_feed_place crs_segments_place(const crs_segments *g, const crs_batch *batch, ptrdiff_t i) {
    const crs_schema *schema = &g->dataset->schema;
    int time = 0;
    ptrdiff_t row = i;
    if (by_step(g)) {
        int end = batch->steps;
        while (end - time > 1) {
            const int middle = time + (end - time) / 2;
            if (g->start[middle] <= i)
                time = middle;
            else
                end = middle;
        }
        row = i - g->start[time];
    }
    const crs_segment *segment = &g->segment[row];
    crs_feed_place place = {.sequence = segment->sequence, .step = segment->first + time + is_next(g)};
    if (!by_step(g)) /* a forecast's first step of the horizon; a sequence's last step */
        place.step = segment->first + segment->steps - !crs_schema_is_forecast(schema);
    if (g->change)
        place.base = g->base + row * schema->target_size;
    return place;
}
