//! Returns freed memory to the system. glibc's allocator keeps the memory of a removed model, in one arena for each thread.
//! Without this module a server would grow with every switch of models.
#![allow(unsafe_code, reason = "docs/architecture.md explains it")]

/// Limits the allocator to few arenas, and makes it map large blocks, which it unmaps when they are freed. Call it at the start
/// of `main`, before there are threads. It does nothing where the allocator is not glibc's.
pub fn configure_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // Below the 147 kB of a 384 x 384 matrix in int8, of which small models have many. It is glibc's default; setting it
        // keeps glibc from raising it to the size of a freed block.
        const LARGE_BYTES: libc::c_int = 128 * 1024;
        // With fewer, threads that run models and threads that prepare texts wait for each other: documents take up to 5% longer.
        const N_ARENAS: libc::c_int = 4;
        // SAFETY: `mallopt` only sets parameters of the allocator; it takes no pointers.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
            libc::mallopt(libc::M_ARENA_MAX, N_ARENAS);
        }
    }
}

/// Returns freed memory to the system. It takes milliseconds, in which other threads may wait for memory. Do not call it on a
/// thread of low priority: the others would wait until that thread is scheduled.
pub fn trim_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` may be called at any time; it moves nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Trims memory on drop. Declare it as the last field of a type that holds much memory.
#[derive(Debug, Default)]
pub struct TrimOnDrop;

impl Drop for TrimOnDrop {
    fn drop(&mut self) {
        trim_memory();
    }
}

/// Counts what each thread holds, so that tests can tell what a thread keeps.
#[cfg(test)]
pub(crate) mod held {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;

    struct Counting;

    #[global_allocator]
    static COUNTING: Counting = Counting;

    thread_local! {
        static BYTES: Cell<isize> = const { Cell::new(0) };
        static TAKEN: Cell<usize> = const { Cell::new(0) };
    }

    /// Bytes that this thread has taken, less those that it has freed.
    pub(crate) fn bytes() -> isize {
        BYTES.get()
    }

    /// Bytes that this thread has ever taken.
    pub(crate) fn taken() -> usize {
        TAKEN.get()
    }

    // SAFETY: the system's allocator does the work; counting takes no memory.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            BYTES.set(BYTES.get() + layout.size() as isize);
            TAKEN.set(TAKEN.get() + layout.size());
            // SAFETY: the caller keeps the contract of `alloc`.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            BYTES.set(BYTES.get() - layout.size() as isize);
            // SAFETY: `pointer` came from `alloc` above with the same layout.
            unsafe { System.dealloc(pointer, layout) }
        }
    }
}
