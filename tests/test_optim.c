/* Optimizers against plain formulas in double; schedules at their edges; clipping. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carousel/optim.h"
#include "cases.h"
#include "harness.h"

enum { SMALL = 16 * 7, STEPS = 20 };

/* ---- plain formulas -----------------------------------------------------------------------------------*/

typedef struct plain {
    crs_optimizer_settings settings;
    double values[SMALL], first[SMALL], second[SMALL];
} plain;

/* One element, as PyTorch's documentation has it, with the weight decay that all share. */
static void plain_update(plain *p, int k, double g, double rate, int t) {
    const crs_optimizer_settings *s = &p->settings;
    p->values[k] -= rate * s->weight_decay * p->values[k];
    switch (s->optimizer) {
    case CRS_ADAM:
        p->first[k] = s->beta1 * p->first[k] + (1 - s->beta1) * g;
        p->second[k] = s->beta2 * p->second[k] + (1 - s->beta2) * g * g;
        p->values[k] -=
            rate * (p->first[k] / (1 - pow(s->beta1, t))) / (sqrt(p->second[k] / (1 - pow(s->beta2, t))) + s->epsilon);
        break;
    case CRS_RMSPROP:
        p->second[k] = s->beta2 * p->second[k] + (1 - s->beta2) * g * g;
        p->values[k] -= rate * g / (sqrt(p->second[k]) + s->epsilon);
        break;
    case CRS_SGD:
        p->first[k] = s->momentum * p->first[k] + g;
        p->values[k] -= rate * p->first[k];
        break;
    default:
        p->second[k] += g * g;
        p->values[k] -= rate * g / (sqrt(p->second[k]) + s->epsilon);
    }
}

static double gradient_of(int step, int k) {
    /* From 1e-4 to 1, with some exact zeros and a change of sign. */
    double size = pow(10, -4.0 * (k % 9) / 8);
    return k % 13 == 12 ? 0 : size * (case_draw(9, (uint64_t)step, (uint64_t)k) + 0.2);
}

static const crs_kernels *best_kernels(void) {
    return crs_kernels_of(crs_isa_best());
}

static crs_optim optim_of(const crs_optimizer_settings *settings, size_t n) {
    crs_optim optim;
    crs_error error = {0};
    if (crs_optim_create(&optim, settings, n, &error) != CRS_OK)
        crs_panic(__FILE__, __LINE__, "%s", error.message);
    return optim;
}

/* settings: as given; full: with the defaults that should have been taken. */
static void follow(const crs_optimizer_settings *settings, const crs_optimizer_settings *full) {
    crs_optim optim = optim_of(settings, SMALL);
    float *values = crs_alloc(SMALL, sizeof *values, CRS_MEMORY_OTHER);
    float *gradient = crs_alloc(SMALL, sizeof *gradient, CRS_MEMORY_OTHER);
    plain p = {.settings = *full};
    for (int k = 0; k < SMALL; k++)
        p.values[k] = (double)(values[k] = (float)case_draw(8, 0, (uint64_t)k));
    double moved = 0, off = 0, start[SMALL];
    memcpy(start, p.values, sizeof start);
    for (int t = 1; t <= STEPS; t++) {
        const double scale = t % 3 == 0 ? 0.5 : 1, rate = 0.01 * (1 + t % 4);
        for (int k = 0; k < SMALL; k++) {
            gradient[k] = (float)gradient_of(t, k);
            plain_update(&p, k, (double)gradient[k] * scale, (double)(float)rate, t);
        }
        crs_optim_update(&optim, best_kernels(), &(crs_extent){0, optim.n}, 1, values, gradient, scale, rate, 1);
        CU_ASSERT_EQUAL(optim.updates, t);
    }
    for (int k = 0; k < SMALL; k++) {
        moved += pow(p.values[k] - start[k], 2);
        off += pow((double)values[k] - p.values[k], 2);
    }
    double error = sqrt(off / moved);
    if (!(error < 2e-6))
        fprintf(stderr, "%s: the values are off by %g of what they moved\n", crs_optimizer_name(settings->optimizer),
                error);
    CU_ASSERT(error < 2e-6);
    CU_ASSERT(moved > 0.01);
    crs_free(&values);
    crs_free(&gradient);
    crs_optim_free(&optim);
}

static void follow_defaults(crs_optimizer optimizer, double beta2, double epsilon) {
    crs_optimizer_settings given = {optimizer, -1, -1, -1, -1, 0}, full = {optimizer, 0, 0.9, beta2, epsilon, 0};
    follow(&given, &full);
    given.weight_decay = full.weight_decay = 0.3;
    follow(&given, &full);
}

static void test_adam(void) {
    follow_defaults(CRS_ADAM, 0.999, 1e-8);
    crs_optimizer_settings own = {CRS_ADAM, 0, 0.7, 0.95, 1e-3, 0.1};
    follow(&own, &own);
    own.beta1 = 0;
    follow(&own, &own);
}

static void test_rmsprop(void) {
    follow_defaults(CRS_RMSPROP, 0.99, 1e-8);
    crs_optimizer_settings own = {CRS_RMSPROP, 0, 0, 0.9, 1e-2, 0.1};
    follow(&own, &own);
}

static void test_sgd(void) {
    follow_defaults(CRS_SGD, 0, 0);
    crs_optimizer_settings own = {CRS_SGD, 0.9, 0, 0, 0, 0};
    follow(&own, &own);
    own.weight_decay = 0.2;
    follow(&own, &own);
}

static void test_adagrad(void) {
    follow_defaults(CRS_ADAGRAD, 0, 1e-10);
    crs_optimizer_settings own = {CRS_ADAGRAD, 0, 0, 0, 1e-2, 0.1};
    follow(&own, &own);
}

/* ---- state and names ----------------------------------------------------------------------------------*/

static void check_moments(crs_optimizer optimizer, double momentum, int moments, const char *first,
                          const char *second) {
    crs_optimizer_settings settings = {optimizer, momentum, -1, -1, -1, 0};
    crs_optim optim = optim_of(&settings, 64);
    const char *names[] = {first, second};
    CU_ASSERT_EQUAL(optim.moments, moments);
    CU_ASSERT_EQUAL(optim.n, 64);
    CU_ASSERT_EQUAL(optim.updates, 0);
    for (int m = 0; m < CRS_MOMENTS_MAX; m++) {
        CU_ASSERT_EQUAL(optim.moment[m] != NULL, m < moments);
        if (m >= moments)
            continue;
        CU_ASSERT_STRING_EQUAL(optim.moment_name[m], names[m]);
        for (int k = 0; k < 64; k++)
            CU_ASSERT_EQUAL(optim.moment[m][k], 0);
    }
    crs_optim_free(&optim);
    CU_ASSERT_PTR_NULL(optim.moment[0]);
}

static void test_moments(void) {
    check_moments(CRS_ADAM, 0, 2, "first_moment", "second_moment");
    check_moments(CRS_RMSPROP, 0, 1, "second_moment", "");
    check_moments(CRS_SGD, 0, 0, "", "");
    check_moments(CRS_SGD, -1, 0, "", "");
    check_moments(CRS_SGD, 0.5, 1, "momentum", "");
    check_moments(CRS_ADAGRAD, 0, 1, "sum_of_squares", "");
}

static void test_names(void) {
    CU_ASSERT_STRING_EQUAL(crs_optimizer_name(CRS_ADAM), "adam");
    CU_ASSERT_STRING_EQUAL(crs_optimizer_name(CRS_RMSPROP), "rmsprop");
    CU_ASSERT_STRING_EQUAL(crs_optimizer_name(CRS_SGD), "sgd");
    CU_ASSERT_STRING_EQUAL(crs_optimizer_name(CRS_ADAGRAD), "adagrad");
    CU_ASSERT_STRING_EQUAL(crs_schedule_name(CRS_CONSTANT), "constant");
    CU_ASSERT_STRING_EQUAL(crs_schedule_name(CRS_STEP), "step");
    CU_ASSERT_STRING_EQUAL(crs_schedule_name(CRS_COSINE), "cosine");
}

/* Each allocation fails in turn: a status and a message, and nothing kept. */
static void test_out_of_memory(void) {
    crs_optimizer_settings settings = {CRS_ADAM, 0, -1, -1, -1, 0};
    int64_t blocks = crs_memory_blocks();
    for (int fail = 1; fail <= 2; fail++) {
        crs_optim optim;
        crs_error error = {0};
        crs_memory_fail_at(fail);
        CU_ASSERT_EQUAL(crs_optim_create(&optim, &settings, 64, &error), CRS_INTERNAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "moment"));
        CU_ASSERT_EQUAL(crs_memory_blocks(), blocks);
    }
    crs_memory_fail_at(0);
}

/* ---- the same bits ------------------------------------------------------------------------------------*/

enum { LARGE = 16 * 4099 };

/* A digest of values and moments after some updates of a large arena. */
static void run_large(crs_optimizer optimizer, size_t n, crs_isa isa, int threads, char hex[CRS_HASH_HEX]) {
    crs_optimizer_settings settings = {optimizer, 0.9, -1, -1, -1, 0.01};
    crs_optim optim = optim_of(&settings, n);
    float *values = crs_alloc(n, sizeof *values, CRS_MEMORY_OTHER);
    float *gradient = crs_alloc(n, sizeof *gradient, CRS_MEMORY_OTHER);
    for (size_t k = 0; k < n; k++)
        values[k] = (float)case_draw(8, 0, k);
    for (int t = 1; t <= 3; t++) {
        for (size_t k = 0; k < n; k++)
            gradient[k] = (float)case_draw(8, (uint64_t)t, k);
        crs_optim_update(&optim, crs_kernels_of(isa), &(crs_extent){0, optim.n}, 1, values, gradient, 0.37, 0.002,
                         threads);
    }
    crs_hash *hash = crs_hash_new();
    CRS_ASSERT(hash != NULL);
    crs_hash_add(hash, values, n * sizeof *values);
    for (int m = 0; m < optim.moments; m++)
        crs_hash_add(hash, optim.moment[m], n * sizeof(float));
    crs_hash_text(hash, hex);
    crs_hash_free(&hash);
    crs_free(&values);
    crs_free(&gradient);
    crs_optim_free(&optim);
}

static void test_same_bits(void) {
    for (int optimizer = 0; optimizer < CRS_OPTIMIZERS; optimizer++) {
        char expected[CRS_HASH_HEX], got[CRS_HASH_HEX];
        run_large((crs_optimizer)optimizer, LARGE, crs_isa_best(), 1, expected);
        for (int isa = 0; isa < CRS_ISA_COUNT; isa++)
            for (int threads = 1; threads <= 5 && crs_isa_here((crs_isa)isa); threads++) {
                run_large((crs_optimizer)optimizer, LARGE, (crs_isa)isa, threads, got);
                CU_ASSERT_STRING_EQUAL(got, expected);
            }
    }
}

/* Of three updates of 112 floats. A change here is a change of the bits of every run. */
static void test_golden(void) {
    static const char *const golden[CRS_OPTIMIZERS] = {
        [CRS_ADAM] = "8eef8f4e77abc5b786ce6be39e0662f1",
        [CRS_RMSPROP] = "1b184a1e84d2048b9f57685f2810b12e",
        [CRS_SGD] = "11b7d5329f356956632669cd6ed65374",
        [CRS_ADAGRAD] = "2ad3b0e15e035d11e2ab52dcdea7cec9",
    };
    for (int optimizer = 0; optimizer < CRS_OPTIMIZERS; optimizer++) {
        char hex[CRS_HASH_HEX];
        run_large((crs_optimizer)optimizer, SMALL, crs_isa_best(), 1, hex);
        if (strcmp(hex, golden[optimizer]) != 0)
            fprintf(stderr, "%s: %s\n", crs_optimizer_name((crs_optimizer)optimizer), hex);
        CU_ASSERT_STRING_EQUAL(hex, golden[optimizer]);
    }
}

/* Goes on from updates and moments that were put back, bit for bit: Adam's corrections follow `updates`. */
static void test_resumed(void) {
    crs_optimizer_settings settings = {CRS_ADAM, 0, -1, -1, -1, 0};
    crs_optim whole = optim_of(&settings, SMALL), second = optim_of(&settings, SMALL);
    float *a = crs_alloc(SMALL, sizeof *a, CRS_MEMORY_OTHER), *b = crs_alloc(SMALL, sizeof *b, CRS_MEMORY_OTHER);
    float *gradient = crs_alloc(SMALL, sizeof *gradient, CRS_MEMORY_OTHER);
    for (int t = 0; t < 6; t++) {
        if (t == 3) {
            memcpy(b, a, SMALL * sizeof *b);
            memcpy(second.moment[0], whole.moment[0], SMALL * sizeof(float));
            memcpy(second.moment[1], whole.moment[1], SMALL * sizeof(float));
            second.updates = whole.updates;
        }
        for (int k = 0; k < SMALL; k++)
            gradient[k] = (float)gradient_of(t, k);
        crs_optim_update(&whole, best_kernels(), &(crs_extent){0, whole.n}, 1, a, gradient, 1, 0.01, 1);
        if (t >= 3)
            crs_optim_update(&second, best_kernels(), &(crs_extent){0, second.n}, 1, b, gradient, 1, 0.01, 1);
    }
    CU_ASSERT_EQUAL(memcmp(a, b, SMALL * sizeof *a), 0);
    crs_free(&a);
    crs_free(&b);
    crs_free(&gradient);
    crs_optim_free(&whole);
    crs_optim_free(&second);
}

/* A warm update allocates nothing; an arena without floats is fine. */
static void test_no_allocation(void) {
    crs_optimizer_settings settings = {CRS_ADAM, 0, -1, -1, -1, 0};
    crs_optim optim = optim_of(&settings, LARGE), empty = optim_of(&settings, 0);
    float *values = crs_alloc(LARGE, sizeof *values, CRS_MEMORY_OTHER);
    float *gradient = crs_alloc(LARGE, sizeof *gradient, CRS_MEMORY_OTHER);
    int64_t before = crs_memory_allocations();
    crs_optim_update(&optim, best_kernels(), &(crs_extent){0, optim.n}, 1, values, gradient, 1, 0.01, 2);
    crs_optim_update(&empty, best_kernels(), &(crs_extent){0, empty.n}, 1, values, gradient, 1, 0.01, 2);
    CU_ASSERT_EQUAL(crs_memory_allocations(), before);
    for (size_t k = 0; k < LARGE; k++) /* no gradient and no moments: nothing moves, nothing is divided by zero */
        CU_ASSERT_EQUAL(values[k], 0);
    crs_free(&values);
    crs_free(&gradient);
    crs_optim_free(&optim);
    crs_optim_free(&empty);
}

/* ---- schedules and clipping ---------------------------------------------------------------------------*/

static bool close_to(double a, double b) {
    return fabs(a - b) <= 1e-14 * fabs(b) + 1e-300;
}

static void test_constant(void) {
    crs_schedule_plan plan = {.schedule = CRS_CONSTANT, .rate = 0.002, .total = 10};
    CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 0), 0.002);
    CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 9), 0.002);
    CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 1000000), 0.002);
}

static void test_warmup(void) {
    for (int schedule = 0; schedule < CRS_SCHEDULES; schedule++) {
        crs_schedule_plan plan = {(crs_schedule)schedule, 0.5, 4, 100, 1000, 1000, 0.1};
        CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 0), 0.125);
        CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 1), 0.25);
        CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 2), 0.375);
        CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 3), 0.5);
        CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 4), 0.5); /* cosine: its p is 0 here */
        plan.warmup = 1;
        CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 0), 0.5);
        /* A run that ends within the warm-up stays at its last rate. */
        plan.warmup = 50, plan.total = 20;
        CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 19), 0.2);
        CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 20), 0.2);
        CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 49), 0.2);
        CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 1000), 0.2);
        plan.total = 50; /* and one that ends with it */
        CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 51), 0.5);
    }
}

static void test_step(void) {
    crs_schedule_plan plan = {CRS_STEP, 1.0, 0, 35, 10, 10, 0.5};
    CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 0), 1);
    CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 9), 1);
    CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 10), 0.5);
    CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 19), 0.5);
    CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 20), 0.25);
    CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 34), 0.125);
    CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 40), 0.125); /* past the end */
    plan.decay_factor = 0.97;
    CU_ASSERT(close_to(crs_schedule_rate(&plan, 30), 0.97 * 0.97 * 0.97));
    plan.warmup = 15; /* the decays count from the first step of all */
    CU_ASSERT(close_to(crs_schedule_rate(&plan, 14), 1));
    CU_ASSERT(close_to(crs_schedule_rate(&plan, 15), 0.97));
    plan = (crs_schedule_plan){CRS_STEP, 1.0, 0, 60, 30, 10, 0.5}; /* the first decay is later than the others */
    CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 29), 1);
    CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 30), 0.5);
    CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 39), 0.5);
    CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 40), 0.25);
    CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 50), 0.125);
}

static void test_cosine(void) {
    const double pi = 3.14159265358979323846;
    for (int64_t warmup = 0; warmup <= 7; warmup += 7) {
        crs_schedule_plan plan = {CRS_COSINE, 0.3, warmup, 107, 0, 0, 0};
        for (int64_t step = warmup; step < plan.total; step++) {
            double part = (double)(step - warmup) / (double)(plan.total - warmup);
            CU_ASSERT(fabs(crs_schedule_rate(&plan, step) - 0.3 * (1 + cos(pi * part)) / 2) < 1e-15);
        }
        double last = crs_schedule_rate(&plan, 106);
        CU_ASSERT(last > 0 && last < 1e-4);
        CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 107), last);
        CU_ASSERT_EQUAL(crs_schedule_rate(&plan, 100000), last);
    }
    crs_schedule_plan one = {CRS_COSINE, 0.3, 0, 1, 0, 0, 0};
    CU_ASSERT_EQUAL(crs_schedule_rate(&one, 0), 0.3);
    CU_ASSERT_EQUAL(crs_schedule_rate(&one, 5), 0.3);
}

static void test_clip(void) {
    CU_ASSERT_EQUAL(crs_clip_scale(10, 5), 0.5);
    CU_ASSERT_EQUAL(crs_clip_scale(5, 5), 1);
    CU_ASSERT_EQUAL(crs_clip_scale(4.9, 5), 1);
    CU_ASSERT_EQUAL(crs_clip_scale(0, 5), 1);
    CU_ASSERT_EQUAL(crs_clip_scale(1e30, 0), 1);
    CU_ASSERT_EQUAL(crs_clip_scale(0x1p100, 1), 0x1p-100);
}

int main(int argc, char **argv) {
    static const harness_test optimizers[] = {
        HARNESS_TEST(test_adam),          HARNESS_TEST(test_rmsprop),       HARNESS_TEST(test_sgd),
        HARNESS_TEST(test_adagrad),       HARNESS_TEST(test_moments),       HARNESS_TEST(test_names),
        HARNESS_TEST(test_out_of_memory), HARNESS_TEST(test_golden),        HARNESS_TEST(test_same_bits),
        HARNESS_TEST(test_resumed),       HARNESS_TEST(test_no_allocation), HARNESS_END};
    static const harness_test schedules[] = {HARNESS_TEST(test_constant), HARNESS_TEST(test_warmup),
                                             HARNESS_TEST(test_step),     HARNESS_TEST(test_cosine),
                                             HARNESS_TEST(test_clip),     HARNESS_END};
    harness_add("optimizers", optimizers);
    harness_add("schedules", schedules);
    return harness_run(argc, argv);
}
