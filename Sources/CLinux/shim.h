/* What Linux has beyond POSIX and Swift's Glibc leaves out: sync_file_range(2), declared as glibc does for 64 bits, and
   O_DIRECT of open(2), which has a value of its own on each kind of processor. */
#include <fcntl.h>
enum { SYNC_FILE_RANGE_WRITE = 2, OPEN_DIRECT = __O_DIRECT };
extern int sync_file_range(int descriptor, long offset, long count, unsigned int flags);
