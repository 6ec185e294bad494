//! Many jobs: `batch`.

mod bars;
mod items;
mod lists;
mod resume;
