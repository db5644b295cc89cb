/* The largest model that this program can train. Private to room spec. */
#ifndef CRS_SPEC_LIMITS_H
#define CRS_SPEC_LIMITS_H

enum { CRS_MOST_UNITS = 1 << 20, CRS_MOST_LAYERS = 4096, CRS_MOST_TOKENS = 1 << 24 };

#endif
