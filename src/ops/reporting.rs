//! How far work on files has come: never more than is true, and a sign of life where nobody knows.
//!
//! Used by the operations on files.

use serde_json::Value;

use crate::ops::Context;

/// How much of the whole is done, from files and bytes, each done and in all.
pub(super) fn share(files: (u64, u64), bytes: (u64, u64)) -> (u64, u64) {
    let (files_done, files_total) = files;
    let (done, total) = bytes;
    if total == 0 {
        return (files_done, files_total.max(files_done).max(1));
    }
    // Empty files may come behind the last byte, and a file may grow while it is read: it is not over before they are.
    let more = u64::from(files_done < files_total);
    (done, total.max(done).saturating_add(more))
}

/// Reports what it is doing and what there is so far, unless that has just been done. For work of unknown size.
pub(super) fn alive(context: &mut Context, make: impl FnOnce() -> (String, Value)) {
    if context.report_is_due() {
        let (status, partial) = make();
        context.status(status);
        context.partial_now(&partial);
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn it_is_never_whole_before_the_end() {
        for (files, bytes, expected) in [
            ((0, 20_000), (0, 0), (0, 20_000)),
            ((5, 10), (0, 0), (5, 10)),
            ((0, 0), (0, 0), (0, 1)),
            ((0, 1), (50, 100), (50, 101)),
            ((1, 2), (100, 100), (100, 101)),
            ((0, 1), (200, 100), (200, 201)),
            ((2, 2), (100, 100), (100, 100)),
        ] {
            assert_eq!(share(files, bytes), expected, "{files:?} {bytes:?}");
        }
    }
}
