/* Made-up tasks: that each sequence is what its definition says. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "data_fixture.h"
#include "harness.h"

enum { COUNT = 200, MOST = 100000 };

static float reals[MOST], numbers[MOST], weights[MOST];
static uint32_t tokens[MOST], classes[MOST];
static int64_t lengths[COUNT];

/* Reads a data set of a file. False where it is not there. */
static bool get(const char *path, const char *name, hid_t type, void *out) {
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    const bool there = H5Lexists(file, name, H5P_DEFAULT) > 0;
    if (there) {
        hid_t set = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(set);
        CU_ASSERT_FATAL(H5Sget_simple_extent_npoints(space) <= MOST);
        CU_ASSERT(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0);
        H5Sclose(space);
        H5Dclose(set);
    }
    H5Fclose(file);
    return there;
}

/* Packs a task, and reads lengths and inputs of its training sequences. */
static const char *make_some(const char *name, int64_t length, int64_t period, int64_t count, uint64_t seed) {
    const char *path = own("task.h5");
    const crs_task_pack task = {path, name, {length, length, length}, {count, 1, 1}, period, seed};
    crs_packed_sequences packed;
    memset(&said, 0, sizeof said);
    CU_ASSERT_EQUAL_FATAL(crs_pack_task(&task, &packed, &said), CRS_OK);
    CU_ASSERT_EQUAL(packed.sequences[CRS_TRAIN], count);
    CU_ASSERT(get(path, "train/lengths", H5T_NATIVE_INT64, lengths));
    get(path, "train/inputs", packed.inputs == CRS_INPUT_TOKENS ? H5T_NATIVE_UINT32 : H5T_NATIVE_FLOAT,
        packed.inputs == CRS_INPUT_TOKENS ? (void *)tokens : reals);
    return path;
}

static const char *make(const char *name, int64_t length, int64_t period) {
    return make_some(name, length, period, COUNT, 7);
}

static void test_adding(void) {
    const char *path = make("adding", 100, 0);
    int early = 0, longer = 0;
    CU_ASSERT(get(path, "train/targets", H5T_NATIVE_FLOAT, numbers));
    const float *x = reals;
    for (int n = 0; n < COUNT; n++) {
        int marks = 0, low = 0, high = 0;
        double sum = 0;
        CU_ASSERT(lengths[n] >= 100 && lengths[n] <= 110);
        longer += lengths[n] > 105;
        for (int64_t t = 0; t < lengths[n]; t++, x += 2) {
            CU_ASSERT(x[0] >= -1 && x[0] <= 1);
            if (x[1] == 1) {
                sum += x[0];
                low += t < 10;
                high += t < 50;
                marks++;
                CU_ASSERT(t > 0 || x[0] == 0);
            } else {
                CU_ASSERT(x[1] == (t == 0 || t == lengths[n] - 1 ? -1 : 0));
            }
        }
        CU_ASSERT(marks == 2 && low >= 1 && high == 2);
        early += low == 2;
        CU_ASSERT_DOUBLE_EQUAL(numbers[n], 0.5 + sum / 4, 1e-6);
    }
    CU_ASSERT(early > 0 && early < COUNT / 2 && longer > 20);
}

static void test_order(void) {
    for (int marked = 3; marked <= 4; marked++) {
        const char *path = make(marked == 3 ? "temporal-order-3" : "temporal-order-4", 100, 0);
        uint32_t seen = 0;
        CU_ASSERT(get(path, "train/targets", H5T_NATIVE_UINT32, classes));
        const uint32_t *x = tokens;
        for (int n = 0; n < COUNT; x += lengths[n++]) {
            uint32_t class = 0;
            int found = 0;
            CU_ASSERT(x[0] == 0 && x[lengths[n] - 1] == 1);
            for (int64_t t = 1; t < lengths[n] - 1; t++) {
                CU_ASSERT(x[t] >= 2 && x[t] < 8);
                if (x[t] < 6)
                    continue;
                const int64_t from = found == 0 ? 10 : 100 * found / marked;
                CU_ASSERT(t >= from && t <= from + 10);
                class = 2 * class + x[t] - 6;
                found++;
            }
            CU_ASSERT_EQUAL(found, marked);
            CU_ASSERT_EQUAL(classes[n], class);
            seen |= 1u << class;
        }
        CU_ASSERT_EQUAL(seen, (1u << (1 << marked)) - 1);
    }
}

/* By a recognizer of its own: which symbols may follow a node, B T P S X V E being 0 to 6. */
static bool is_reber(const uint32_t *x, int64_t length) {
    static const int next[6][7] = {{-1, 1, 2, -1, -1, -1, -1}, {-1, -1, -1, 1, 3, -1, -1}, {-1, 2, -1, -1, -1, 4, -1},
                                   {-1, -1, -1, 5, 2, -1, -1}, {-1, -1, 3, -1, -1, 5, -1}, {-1, -1, -1, -1, -1, -1, 6}};
    int node = 0;
    if (x[0] != 0)
        return false;
    for (int64_t i = 1; i < length; i++) {
        if (node < 0 || node > 5)
            return false;
        node = next[node][x[i]];
    }
    return node == 6;
}

static void test_reber(void) {
    const char *path = make("reber", 0, 0);
    int with_t = 0;
    CU_ASSERT_FALSE(get(path, "train/targets", H5T_NATIVE_UINT32, classes));
    const uint32_t *x = tokens;
    for (int n = 0; n < COUNT; x += lengths[n++]) {
        const int64_t final = lengths[n] - 1;
        CU_ASSERT(x[0] == 0 && x[final] == 6 && x[1] == x[final - 1] && (x[1] == 1 || x[1] == 2));
        CU_ASSERT(is_reber(x + 2, lengths[n] - 4));
        with_t += x[1] == 1;
    }
    CU_ASSERT(with_t > COUNT / 3 && with_t < 2 * COUNT / 3);
}

static void test_spike_delay(void) {
    const char *path = make("spike-delay", 100, 20);
    int late = 0, spikes = 0;
    CU_ASSERT(get(path, "train/targets", H5T_NATIVE_FLOAT, numbers));
    CU_ASSERT(get(path, "train/weights", H5T_NATIVE_FLOAT, weights));
    for (int n = 0; n < COUNT; n++) {
        const float *x = reals + n * 100, *y = numbers + n * 100, *w = weights + n * 100;
        int before = 0;
        CU_ASSERT_EQUAL(lengths[n], 100);
        for (int time = 1; time <= 100; time++) {
            CU_ASSERT(x[time - 1] == w[time - 1]);
            if (x[time - 1] == 0)
                continue;
            const int delay = time - before - 20;
            CU_ASSERT(x[time - 1] == 1 && (delay == 0 || delay == 1) && y[time - 1] == (float)delay);
            late += delay;
            spikes++;
            before = time;
        }
        CU_ASSERT(100 - before < 21);
    }
    CU_ASSERT(late > spikes / 3 && late < 2 * spikes / 3);
}

static void test_timed_spikes(void) {
    const char *path = make("timed-spikes", 100, 10);
    CU_ASSERT(get(path, "train/targets", H5T_NATIVE_FLOAT, numbers));
    CU_ASSERT_FALSE(get(path, "train/weights", H5T_NATIVE_FLOAT, weights));
    int late = 0;
    for (int n = 0; n < COUNT; n++) {
        const float *x = reals + n * 100, *y = numbers + n * 100;
        int before = 0;
        for (int time = 1; time <= 100; time++) {
            late += x[time - 1] > 0;
            /* The input tells how long it is from the last spike to the next. */
            const int next = before + 10 + (int)x[time - 1];
            CU_ASSERT(x[time - 1] == 0 || x[time - 1] == 1);
            CU_ASSERT(y[time - 1] == (time == next));
            if (time == next)
                before = time;
            else
                CU_ASSERT(time == 1 || before == time - 1 || x[time - 1] == x[time - 2]);
        }
    }
    CU_ASSERT(late > 100 * COUNT / 3 && late < 200 * COUNT / 3);
}

static void test_periodic(void) {
    static const char *const names[] = {"periodic-cos", "periodic-triangle", "periodic-rectangle"};
    for (int shape = 0; shape < 3; shape++)
        for (int period = 2; period < 28; period += 5) {
            const char *path = make(names[shape], 60, period);
            CU_ASSERT(get(path, "train/targets", H5T_NATIVE_FLOAT, numbers));
            for (int i = 0; i < 60 * COUNT; i++) {
                const int t = i % 60 + 1;
                const double u = 2.0 * (t % period) / period;
                const double wanted[] = {(1 - cos(2 * M_PI * t / period)) / 2, u <= 1 ? u : 2 - u,
                                         t % period > period / 2.0};
                CU_ASSERT(reals[i] == 0 && fabs(numbers[i] - wanted[shape]) < 1e-6);
            }
        }
}

/* A sequence follows from seed and number alone, not from how many there are. */
static void test_beginnings(void) {
    enum { FEW = 3, LENGTH = 60 };
    float all[2 * FEW * LENGTH * 2];
    int64_t lengths_of_all[FEW];
    for (const char *const *name = crs_task_names(); *name; name++) {
        const bool of_tokens = strncmp(*name, "temporal", 8) == 0 || strcmp(*name, "reber") == 0;
        const bool is_drawn = strncmp(*name, "periodic", 8) != 0;
        const int64_t length = strcmp(*name, "reber") == 0 ? 0 : LENGTH;
        const void *inputs = of_tokens ? (const void *)tokens : reals;
        make(*name, length, 0);
        memcpy(all, inputs, sizeof all);
        memcpy(lengths_of_all, lengths, sizeof lengths_of_all);
        const int64_t steps = lengths[0] + lengths[1] + lengths[2];
        const size_t bytes = (size_t)steps * (strcmp(*name, "adding") == 0 ? 2 : 1) * sizeof *all;
        CU_ASSERT_FATAL(bytes <= sizeof all);
        for (uint64_t seed = 7; seed < 9; seed++) {
            make_some(*name, length, 0, FEW, seed);
            const bool same =
                memcmp(lengths, lengths_of_all, sizeof lengths_of_all) == 0 && memcmp(inputs, all, bytes) == 0;
            CU_ASSERT_EQUAL(same, seed == 7 || !is_drawn);
        }
    }
}

static const harness_test task_tests[] = {HARNESS_TEST(test_adding),       HARNESS_TEST(test_order),
                                          HARNESS_TEST(test_reber),        HARNESS_TEST(test_spike_delay),
                                          HARNESS_TEST(test_timed_spikes), HARNESS_TEST(test_periodic),
                                          HARNESS_TEST(test_beginnings),   HARNESS_END};

int main(int argc, char **argv) {
    harness_add("task", task_tests);
    return harness_run(argc, argv);
}
