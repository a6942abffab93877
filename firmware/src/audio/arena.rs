//! A fixed piece of memory for what a library allocates on the audio thread.
//!
//! The echo canceller (crate `sonora`) makes a dozen small vectors for each block of 64 samples and drops them before it
//! returns. The audio thread may not go to the heap for them: the heap takes locks and asks the kernel. While
//! [`with`] runs, this thread's allocations come from one fixed block instead, in sizes of powers of two, of which the
//! freed ones are kept in lists: a few instructions each, whatever happened before. An allocation that finds no room
//! goes to the heap; `tests/audio_no_alloc` shows that none does.

#![allow(
    unsafe_code,
    reason = "a global allocator is an unsafe interface; nothing else in the phone's library is"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

/// The block: several times what one period of echo cancelling takes.
const BYTES: usize = 512 * 1024;
/// Sizes given out: 16 bytes to 64 kB, each twice the one before.
const SIZES: usize = 13;
const SMALLEST: usize = 16;
/// The canceller drops one piece of what it was made with, 260 bytes, four seconds after its start. That is not given back.
const MOST_KEPT: usize = 16;
/// Alignment of the pieces, as far as their size goes.
const ALIGNMENT: usize = 64;

/// Serves the phone's allocations: the heap's, but for the audio thread's.
#[global_allocator]
static ALLOCATOR: Switch = Switch;

static ARENA: Arena = Arena {
    memory: Memory(UnsafeCell::new([0; BYTES])),
    taken: AtomicBool::new(false),
    lists: UnsafeCell::new(Lists {
        free: [null_mut(); SIZES],
        top: 0,
        kept: 0,
    }),
};

thread_local! {
    /// This thread is in [`with`], and has the block.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

struct Switch;

struct Arena {
    memory: Memory,
    /// By the thread that is in [`with`], or gives a piece back.
    taken: AtomicBool,
    lists: UnsafeCell<Lists>,
}

struct Lists {
    /// The first free piece of each size; each holds the address of the next.
    free: [*mut u8; SIZES],
    /// Bytes never given out start here.
    top: usize,
    /// Pieces of the heap that were dropped inside.
    kept: usize,
}

#[repr(align(64))]
struct Memory(UnsafeCell<[u8; BYTES]>);

// SAFETY: the lists are only touched by the thread that has taken the arena, the bytes through the pieces given out, and
// no two of these overlap.
unsafe impl Sync for Arena {}

/// Runs `work` with this thread's allocations from the fixed block. If another thread has it, they come from the heap:
/// a phone has one audio thread, a test program may have several.
pub fn with<T>(work: impl FnOnce() -> T) -> T {
    /// Leaves even if `work` panics.
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            INSIDE.set(false);
            ARENA.taken.store(false, Ordering::Release);
        }
    }
    if ARENA.taken.swap(true, Ordering::Acquire) {
        return work();
    }
    INSIDE.set(true);
    let _leave = Leave;
    work()
}

fn inside() -> bool {
    // A thread that is ending has no flag any more, and is not inside.
    INSIDE.try_with(Cell::get).unwrap_or(false)
}

/// Which of the sizes holds this; `None` if it is too big.
fn size_class(layout: Layout) -> Option<usize> {
    let size = layout.size().max(layout.align()).max(SMALLEST);
    let class = (size.next_power_of_two() / SMALLEST).trailing_zeros() as usize;
    (class < SIZES && layout.align() <= ALIGNMENT).then_some(class)
}

impl Arena {
    /// A piece of the block; null if there is no room. Only for the thread that has taken it.
    #[allow(
        clippy::cast_ptr_alignment,
        reason = "pieces are at least 16 bytes, and aligned like that"
    )]
    fn allocate(&self, layout: Layout) -> *mut u8 {
        let Some(class) = size_class(layout) else {
            return null_mut();
        };
        // SAFETY: this thread has taken the arena, so the lists are its own; a piece in a list is free and at least 16
        // bytes long, and holds the address of the next one; `start` to `end` lies within the block and was never
        // given out.
        unsafe {
            let lists = &mut *self.lists.get();
            let first = lists.free[class];
            if !first.is_null() {
                lists.free[class] = first.cast::<*mut u8>().read();
                return first;
            }
            let size = SMALLEST << class;
            let start = lists.top.next_multiple_of(size.min(ALIGNMENT));
            if start + size > BYTES {
                return null_mut();
            }
            lists.top = start + size;
            self.memory.0.get().cast::<u8>().add(start)
        }
    }

    /// Takes a piece back, on whatever thread.
    #[allow(
        clippy::cast_ptr_alignment,
        reason = "pieces are at least 16 bytes, and aligned like that"
    )]
    fn release(&self, piece: *mut u8, layout: Layout) {
        let Some(class) = size_class(layout) else {
            return;
        };
        let mine = inside();
        if !mine {
            // Something of a library outlived its period and is dropped with the pipeline.
            while self.taken.swap(true, Ordering::Acquire) {
                std::hint::spin_loop();
            }
        }
        // SAFETY: the arena is taken by this thread; the piece is one of this size and not used any more.
        unsafe {
            let lists = &mut *self.lists.get();
            piece.cast::<*mut u8>().write(lists.free[class]);
            lists.free[class] = piece;
        }
        if !mine {
            self.taken.store(false, Ordering::Release);
        }
    }

    /// Whether a piece of the heap shall rather be kept for ever than given back on the audio thread. Only for the
    /// thread that has taken the arena.
    fn keep(&self) -> bool {
        // SAFETY: this thread has taken the arena, so the lists are its own.
        let kept = unsafe { &mut (*self.lists.get()).kept };
        *kept += 1;
        *kept <= MOST_KEPT
    }

    fn holds(&self, piece: *const u8) -> bool {
        let start = self.memory.0.get() as usize;
        (start..start + BYTES).contains(&(piece as usize))
    }
}

// SAFETY: pieces of the block do not overlap, are aligned as asked, and are given out anew only after they were given
// back; everything else is the system's allocator.
unsafe impl GlobalAlloc for Switch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if inside() {
            let piece = ARENA.allocate(layout);
            if !piece.is_null() {
                return piece;
            }
        }
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        if ARENA.holds(piece) {
            ARENA.release(piece, layout);
        } else if !(inside() && ARENA.keep()) {
            // SAFETY: it came from the system's allocator, and the caller keeps the contract.
            unsafe { System.dealloc(piece, layout) }
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !ARENA.holds(piece) && !inside() {
            // SAFETY: it came from the system's allocator, and the caller keeps the contract.
            return unsafe { System.realloc(piece, layout, size) };
        }
        // SAFETY: the caller keeps the contract: `size` with this alignment is a layout, and `piece` has
        // `layout.size()` bytes; the new one does not overlap it.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                std::ptr::copy_nonoverlapping(piece, new, layout.size().min(size));
                self.dealloc(piece, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_from_the_block_inside_and_from_the_heap_outside() {
        let outside = Box::new([1u8; 100]);
        assert!(!ARENA.holds(outside.as_ptr()));
        let mut kept = Vec::new();
        // Another test may have the block just now.
        for _ in 0..1000 {
            kept = with(|| {
                let mut grown: Vec<u64> = Vec::with_capacity(1);
                grown.extend(0..100);
                grown.push(7);
                grown
            });
            if ARENA.holds(kept.as_ptr().cast()) {
                break;
            }
            std::thread::yield_now();
        }
        assert!(ARENA.holds(kept.as_ptr().cast()), "from the block");
        assert!(kept.iter().copied().eq((0..100).chain([7])));
        // Grown outside, it moves to the heap.
        kept.reserve(10_000);
        assert!(!ARENA.holds(kept.as_ptr().cast()));
        assert_eq!(kept.len(), 101);
        let big = with(|| vec![3u8; 2 * BYTES]);
        assert!(!ARENA.holds(big.as_ptr()), "too big for the block");
    }
}
