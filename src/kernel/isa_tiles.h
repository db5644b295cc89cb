/* One function a size of tile, so that its accumulators are registers. Included once by a file that has defined
 *   CRS_INLINE void tile(const int rows, const int blocks, const TILE_OPERANDS *p, int first, int column)
 * and TILE_OPERANDS, and TILE_ROWS, 6 or 12: the most rows of a tile with 32 registers, where it gives tile_of(rows,
 * blocks, p, first) for all columns of the blocks, else tiles[rows - 1](p, first, column) for the one block at a
 * column. */
#define TILE(rows, blocks)                                                              \
    static void tile_##rows##_##blocks(const TILE_OPERANDS *p, int first, int column) { \
        tile(rows, blocks, p, first, column);                                           \
    }

typedef void tile_function(const TILE_OPERANDS *p, int first, int column);

/* clang-format off */
TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(5, 1) TILE(6, 1)

#if VL == 16
#if TILE_ROWS > 6
TILE(7, 1) TILE(8, 1) TILE(9, 1) TILE(10, 1) TILE(11, 1) TILE(12, 1)
TILE(7, 2) TILE(8, 2) TILE(9, 2) TILE(10, 2) TILE(11, 2) TILE(12, 2)
TILE(7, 3) TILE(8, 3)
#endif
TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2) TILE(5, 2) TILE(6, 2)
TILE(1, 3) TILE(2, 3) TILE(3, 3) TILE(4, 3) TILE(5, 3) TILE(6, 3)
TILE(1, 4) TILE(2, 4) TILE(3, 4) TILE(4, 4) TILE(5, 4) TILE(6, 4)

static tile_function *const tiles[CRS_GROUP_BLOCKS][TILE_ROWS] = {
#if TILE_ROWS > 6
    {tile_1_1, tile_2_1, tile_3_1, tile_4_1, tile_5_1, tile_6_1,
     tile_7_1, tile_8_1, tile_9_1, tile_10_1, tile_11_1, tile_12_1},
    {tile_1_2, tile_2_2, tile_3_2, tile_4_2, tile_5_2, tile_6_2,
     tile_7_2, tile_8_2, tile_9_2, tile_10_2, tile_11_2, tile_12_2},
    {tile_1_3, tile_2_3, tile_3_3, tile_4_3, tile_5_3, tile_6_3, tile_7_3, tile_8_3},
#else
    {tile_1_1, tile_2_1, tile_3_1, tile_4_1, tile_5_1, tile_6_1},
    {tile_1_2, tile_2_2, tile_3_2, tile_4_2, tile_5_2, tile_6_2},
    {tile_1_3, tile_2_3, tile_3_3, tile_4_3, tile_5_3, tile_6_3},
#endif
    {tile_1_4, tile_2_4, tile_3_4, tile_4_4, tile_5_4, tile_6_4},
};

static inline void tile_of(int rows, int blocks, const TILE_OPERANDS *p, int first) {
    tiles[blocks - 1][rows - 1](p, first, 0);
}
#else
static tile_function *const tiles[6] = {tile_1_1, tile_2_1, tile_3_1, tile_4_1, tile_5_1, tile_6_1};
#endif
/* clang-format on */
