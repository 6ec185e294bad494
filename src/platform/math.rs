//! pow(3), from the `libm` crate, under the name of the C library's.
//!
//! A library that draws bars refers to it. Left to the C library, that one function would have the dynamic linker load
//! and relocate its mathematics at every start, also where no bar is ever drawn.

/// `x` to the power of `y`.
// SAFETY: it has the signature and the meaning of the C library's, and replaces it for this program alone.
#[unsafe(no_mangle)]
extern "C" fn pow(x: f64, y: f64) -> f64 {
    libm::pow(x, y)
}
