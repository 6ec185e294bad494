//! Where guards leave word that there is news: one list and one doorbell for all of them.
//!
//! A guard puts its note on the list and rings; the watchdog takes the whole list and looks at those jobs alone, however
//! many others there are. A note is memory of the tree, which takes it off before it goes.

use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use super::doorbell::Doorbell;
use super::shareable::Shareable;
use crate::error::{Error, Result};

/// The list of those that have news.
#[derive(Debug)]
pub struct Board {
    doorbell: Doorbell,
    first: Shareable<First>,
    /// Taken off the list, and not told on yet.
    collected: Mutex<Vec<usize>>,
}

/// The beginning of the list.
#[derive(Debug)]
pub(super) struct First(AtomicPtr<Note>);

/// One guard's place in the list.
#[derive(Debug)]
pub(super) struct Note {
    job: usize,
    next: AtomicPtr<Note>,
    /// It is in the list, or about to be.
    listed: AtomicU32,
}

impl Note {
    /// The job is named by this number.
    pub(super) fn new(job: usize) -> Self {
        Self { job, next: AtomicPtr::new(null_mut()), listed: AtomicU32::new(0) }
    }

    /// Puts it on the list, unless it is there. Done by a guard, and so by atomics alone. The note must stay where it is
    /// until it was taken off.
    pub(super) fn put_on(&self, first: &First) {
        if self.listed.swap(1, Ordering::AcqRel) == 1 {
            return;
        }
        let mut head = first.0.load(Ordering::Relaxed);
        loop {
            self.next.store(head, Ordering::Relaxed);
            let own = std::ptr::from_ref(self).cast_mut();
            match first.0.compare_exchange_weak(head, own, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }
}

impl Board {
    pub fn new() -> Result<Self> {
        let first = First(AtomicPtr::new(null_mut()));
        let first = Shareable::mapped(first).map_err(Error::system("get memory for processes to share"))?;
        Ok(Self { doorbell: Doorbell::new()?, first, collected: Mutex::new(Vec::new()) })
    }

    /// Readable when somebody has news.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.doorbell.as_fd()
    }

    /// Takes the jobs that have news. Ask before looking at them: what happens after the look is told again.
    pub fn take(&self) -> Vec<usize> {
        self.doorbell.clear();
        self.collect();
        self.collected.lock().map(|mut collected| std::mem::take(&mut *collected)).unwrap_or_default()
    }

    /// Takes this note off the list. Its guard is gone, and puts it there no more.
    pub(super) fn forget(&self, note: &Note) {
        if note.listed.load(Ordering::Acquire) == 1 {
            self.collect();
        }
    }

    pub(super) fn raw_doorbell(&self) -> RawFd {
        self.doorbell.raw()
    }

    pub(super) fn first(&self) -> *const First {
        &raw const *self.first
    }

    fn collect(&self) {
        let Ok(mut collected) = self.collected.lock() else { return };
        let mut note = self.first.0.swap(null_mut(), Ordering::AcqRel);
        while !note.is_null() {
            // SAFETY: whoever put it there keeps it until it was taken off, which is done by the last line here.
            let current = unsafe { &*note };
            note = current.next.load(Ordering::Relaxed);
            collected.push(current.job);
            current.listed.store(0, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::{Board, Note};

    #[test]
    fn a_note_is_told_once_for_each_time_it_was_put_there() {
        let board = Board::new().unwrap();
        let notes = [Note::new(7), Note::new(9)];
        assert!(board.take().is_empty());
        notes[0].put_on(&board.first);
        notes[1].put_on(&board.first);
        notes[0].put_on(&board.first);
        let mut jobs = board.take();
        jobs.sort_unstable();
        assert_eq!(jobs, [7, 9]);
        assert!(board.take().is_empty());
        notes[0].put_on(&board.first);
        board.forget(&notes[0]);
        assert_eq!(board.take(), [7], "what was forgotten is told nevertheless");
    }

    #[test]
    fn nothing_is_lost_between_many() {
        const TIMES: usize = 20_000;
        let board = Board::new().unwrap();
        let over = AtomicBool::new(false);
        let notes: Vec<Note> = (0..3).map(Note::new).collect();
        let seen: Vec<Vec<usize>> = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = Vec::new();
                loop {
                    let last = over.load(Ordering::Acquire);
                    seen.push(board.take());
                    if last {
                        return seen;
                    }
                }
            });
            thread::scope(|writers| {
                for note in &notes {
                    writers.spawn(|| (0..TIMES).for_each(|_| note.put_on(&board.first)));
                }
            });
            over.store(true, Ordering::Release);
            reader.join().unwrap()
        });
        for job in 0..3 {
            assert!(seen.iter().any(|jobs| jobs.contains(&job)));
        }
        assert!(seen.iter().all(|jobs| jobs.len() <= 3), "each at most once at a time");
    }
}
