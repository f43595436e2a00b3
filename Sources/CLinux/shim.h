/* What Linux has beyond POSIX and Swift's Glibc leaves out: sync_file_range(2), declared as glibc does for 64 bits. */
enum { SYNC_FILE_RANGE_WRITE = 2 };
extern int sync_file_range(int descriptor, long offset, long count, unsigned int flags);
