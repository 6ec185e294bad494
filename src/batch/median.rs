//! The median of the durations of the jobs that succeeded, from which timeouts can be derived.
