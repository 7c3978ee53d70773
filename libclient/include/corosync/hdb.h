/* How a 64-bit handle is printed. Corosync's header of this name also holds the inside of its
 * handle database, which no client needs. */
#ifndef HDB_H_DEFINED
#define HDB_H_DEFINED

#include <inttypes.h>
#include <stdint.h>

typedef uint64_t hdb_handle_t;

#define HDB_D_FORMAT "%" PRIu64
#define HDB_X_FORMAT "%" PRIx64

#endif /* HDB_H_DEFINED */
