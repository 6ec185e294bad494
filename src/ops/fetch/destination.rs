//! Where a download goes: like every file that an operation writes, see `ops::output`.

pub(super) use crate::ops::output::Output as Destination;
