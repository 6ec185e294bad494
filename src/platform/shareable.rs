//! Memory that a forked process can share with us: for systems that let no process begin in ours, as qemu-user does not.
//!
//! Used for what guards and runner both write. Elsewhere it is an ordinary box.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags};

/// One value on the heap, or in a mapping that survives fork(2) as the same memory, under the same address.
#[derive(Debug)]
pub(super) enum Shareable<T> {
    Boxed(Box<T>),
    Mapped(Mapped<T>),
}

/// A value in a mapping of its own.
#[derive(Debug)]
pub(super) struct Mapped<T>(NonNull<T>);

// SAFETY: it owns its value as a box does.
unsafe impl<T: Send> Send for Mapped<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Mapped<T> {}

impl<T> Shareable<T> {
    /// In a mapping, which takes whole pages.
    pub(super) fn mapped(value: T) -> rustix::io::Result<Self> {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a fresh mapping, aligned to pages and large enough; it is written before it is read.
        unsafe {
            let memory = rustix::mm::mmap_anonymous(std::ptr::null_mut(), size_of::<T>(), protection, flags)?;
            let memory = NonNull::new(memory.cast::<T>()).ok_or(rustix::io::Errno::NOMEM)?;
            memory.write(value);
            Ok(Self::Mapped(Mapped(memory)))
        }
    }
}

impl<T> Deref for Shareable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Boxed(value) => value,
            // SAFETY: it was written, and lives as long as we do.
            Self::Mapped(memory) => unsafe { memory.0.as_ref() },
        }
    }
}

impl<T> DerefMut for Shareable<T> {
    fn deref_mut(&mut self) -> &mut T {
        match self {
            Self::Boxed(value) => value,
            // SAFETY: as above; nothing else in this process has it.
            Self::Mapped(memory) => unsafe { memory.0.as_mut() },
        }
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and used no more.
        unsafe {
            self.0.drop_in_place();
            let _ = rustix::mm::munmap(self.0.as_ptr().cast(), size_of::<T>());
        }
    }
}
