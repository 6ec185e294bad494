//! Many jobs: `batch`.

mod bars;
mod lists;
mod resume;
