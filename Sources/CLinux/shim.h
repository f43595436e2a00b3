/* What Linux has beyond POSIX and Swift's Glibc leaves out: sync_file_range(2), renameat2(2), fallocate(2), mallopt(3)
   and extended attributes (xattr(7)), declared as glibc does for 64 bits, and O_DIRECT of open(2), which has a value of
   its own on some kinds of processor. Including their headers would make their types those of this module. epoll(7) and
   eventfd(2) are nobody else's. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#if defined(__aarch64__) || defined(__arm__)
enum { OPEN_DIRECT = 0200000 };
#elif defined(__powerpc__)
enum { OPEN_DIRECT = 0400000 };
#else
enum { OPEN_DIRECT = 040000 };
#endif
enum { SYNC_FILE_RANGE_WRITE = 2 };
extern int sync_file_range(int descriptor, long offset, long count, unsigned int flags);
/* With FALLOCATE_KEEP_SIZE the blocks may lie behind the end of the file, which stays where it is. With
   FALLOCATE_PUNCH_HOLE too, the blocks are given back, and read as zeros. */
enum { FALLOCATE_KEEP_SIZE = 1, FALLOCATE_PUNCH_HOLE = 2 };
extern int fallocate(int descriptor, int mode, long offset, long length);
/* With RENAME_KEEP an existing file of the new name is an error (EEXIST) instead of lost. */
enum { RENAME_KEEP = 1 };
extern int renameat2(int old_folder, const char *old_path, int new_folder, const char *new_path, unsigned int flags);
enum { MALLOC_TRIM_THRESHOLD = -1, MALLOC_MMAP_THRESHOLD = -3 };
extern int mallopt(int parameter, int value);
extern long fgetxattr(int descriptor, const char *name, void *value, unsigned long size);
extern long getxattr(const char *path, const char *name, void *value, unsigned long size);
extern int fsetxattr(int descriptor, const char *name, const void *value, unsigned long size, int flags);
