/* Names with values. */
#include "config.h"

#include <string.h>

#include "carousel/base.h"

const crs_attribute *crs_attributes_find(const crs_attributes *attributes, const char *name) {
    for (int i = 0; i < attributes->count; i++)
        if (strcmp(attributes->list[i].name, name) == 0)
            return &attributes->list[i];
    return NULL;
}

bool crs_attributes_put(crs_attributes *attributes, const crs_attribute *attribute) {
    const crs_attribute *known = crs_attributes_find(attributes, attribute->name);
    if (!known && attributes->count == CRS_ATTRIBUTES_MOST)
        return false;
    attributes->list[known ? known - attributes->list : attributes->count++] = *attribute;
    return true;
}

/* Of one's own, whose sizes are known. */
static void put(crs_attributes *attributes, const char *name, crs_attribute attribute) {
    const int length = snprintf(attribute.name, sizeof attribute.name, "%s", name);
    CRS_ASSERT(length < (int)sizeof attribute.name && crs_attributes_put(attributes, &attribute));
}

void crs_attributes_put_text(crs_attributes *attributes, const char *name, const char *text) {
    crs_attribute attribute = {.kind = CRS_ATTRIBUTE_TEXT};
    CRS_ASSERT(snprintf(attribute.text, sizeof attribute.text, "%s", text) < (int)sizeof attribute.text);
    put(attributes, name, attribute);
}

void crs_attributes_put_integer(crs_attributes *attributes, const char *name, int64_t value) {
    put(attributes, name, (crs_attribute){.kind = CRS_ATTRIBUTE_INTEGER, .integer = value});
}

void crs_attributes_put_real(crs_attributes *attributes, const char *name, double value) {
    put(attributes, name, (crs_attribute){.kind = CRS_ATTRIBUTE_REAL, .real = value});
}

/* The one that must be there, or NULL with *error. */
static const crs_attribute *demand(const crs_attributes *attributes, const char *name, crs_attribute_kind kind,
                                   const char *file, crs_error *error) {
    static const char *const kinds[] = {"text that it may be", "integer", "floating-point number"};
    const crs_attribute *found = crs_attributes_find(attributes, name);
    if (found && found->kind == kind)
        return found;
    crs_fail(error, CRS_DATA, "%s: the attribute %s is missing, or no %s; %s", file, name, kinds[kind],
             CRS_DAMAGED_ADVICE);
    return NULL;
}

crs_status crs_attributes_text(const crs_attributes *attributes, const char *name, const char *file, const char **text,
                               crs_error *error) {
    const crs_attribute *found = demand(attributes, name, CRS_ATTRIBUTE_TEXT, file, error);
    *text = found ? found->text : "";
    return found ? CRS_OK : error->status;
}

crs_status crs_attributes_integer(const crs_attributes *attributes, const char *name, const char *file, int64_t *value,
                                  crs_error *error) {
    const crs_attribute *found = demand(attributes, name, CRS_ATTRIBUTE_INTEGER, file, error);
    if (found)
        *value = found->integer;
    return found ? CRS_OK : error->status;
}

crs_status crs_attributes_real(const crs_attributes *attributes, const char *name, const char *file, double *value,
                               crs_error *error) {
    const crs_attribute *found = demand(attributes, name, CRS_ATTRIBUTE_REAL, file, error);
    if (found)
        *value = found->real;
    return found ? CRS_OK : error->status;
}
