private import CLinux

/// How the C library's allocator treats the program's buffers. See mallopt(3) and docs/decisions/0032-kept-memory.md
enum Allocator {
    /// Has it keep what buffers of batches leave behind, up to 16 MiB in each of its arenas, instead of giving pages
    /// back to the system and asking for them again with the next batch. What is larger than 8 MiB, as buffers of a
    /// huge row are, is given back at once.
    static func keepBatches() {
        _ = mallopt(Int32(MALLOC_MMAP_THRESHOLD), 8 << 20)
        _ = mallopt(Int32(MALLOC_TRIM_THRESHOLD), 16 << 20)
    }
}
