//! The allocator's settings. Nothing else of the daemon depends on them.

/// Blocks from this size on are mapped on their own and given back to the system when freed.
const LARGE: libc::c_int = 256 * 1024;
/// Heaps beside the main one; more of them hold more memory that nobody uses.
const ARENAS: libc::c_int = 2;

/// Makes freed memory go back to the system. Hashing one password takes tens of megabytes; glibc raises its own limit for
/// "large" when the first such block is freed and from then on keeps them: 76 MiB more after four logins, measured.
pub fn give_back_large_blocks() {
    // SAFETY: mallopt only sets parameters of the allocator; no other thread runs yet, and it holds no reference to ours.
    let set = unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) == 1 && libc::mallopt(libc::M_ARENA_MAX, ARENAS) == 1
    };
    if !set {
        tracing::warn!("the allocator refused its settings; memory use will be higher");
    }
}
