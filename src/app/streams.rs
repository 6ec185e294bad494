//! Which output streams of a job are handed over, which go through runner, and which of those are terminals for the job.
//!
//! A terminal is handed over as it is unless runner needs what is written there; then the job gets a pseudo-terminal in
//! its place, so that it prints as it would have.

use crate::app::display::Form;
use crate::model::job::{Route, Streams};
use crate::model::request::ExecRequest;
use crate::platform::descriptors;

/// Decides for both streams of this job.
pub(super) fn choose(request: &ExecRequest, form: Form) -> Streams {
    let terminal = [descriptors::stdout(), descriptors::stderr()].map(descriptors::is_terminal);
    let same = descriptors::are_same(descriptors::stdout(), descriptors::stderr());
    decide(&Facts {
        json: request.answer.json,
        pty: request.pty,
        owned: request.needs_output() || form == Form::Bar,
        operation: request.is_operation(),
        terminal,
        same,
    })
}

/// All that the decision depends on.
#[derive(Clone, Copy, Debug)]
struct Facts {
    json: bool,
    /// A pseudo-terminal was asked for.
    pty: bool,
    /// Runner needs to see what is written.
    owned: bool,
    /// Built-in operations print the same everywhere.
    operation: bool,
    /// Our stdout and stderr are terminals.
    terminal: [bool; 2],
    /// They lead to the same place.
    same: bool,
}

fn decide(facts: &Facts) -> Streams {
    let Facts { json, pty, owned, operation, terminal, same } = *facts;
    if json {
        let stderr = if pty { Route::WithStdout } else { Route::Keep };
        return Streams { stdout: Route::Keep, stderr, terminals: [pty; 2] };
    }
    if pty {
        // One for both, unless the user sends them different ways.
        let apart = terminal[0] != terminal[1] || (terminal[0] && !same);
        let stderr = if apart { Route::PassThrough } else { Route::WithStdout };
        return Streams { stdout: Route::PassThrough, stderr, terminals: [true, terminal[1] || !apart] };
    }
    let route = |index: usize| if terminal[index] && !owned { Route::Inherit } else { Route::PassThrough };
    let terminals = [0, 1].map(|index| terminal[index] && owned && !operation);
    let both = route(0) == Route::PassThrough && route(1) == Route::PassThrough;
    let stderr = if both && same { Route::WithStdout } else { route(1) };
    Streams { stdout: route(0), stderr, terminals }
}

#[cfg(test)]
mod tests {
    use super::{Facts, decide};
    use crate::model::job::{Route, Streams};

    const PIPES: Facts =
        Facts { json: false, pty: false, owned: false, operation: false, terminal: [false; 2], same: false };
    const TERMINAL: Facts = Facts { terminal: [true; 2], same: true, ..PIPES };

    fn streams(stdout: Route, stderr: Route, terminals: [bool; 2]) -> Streams {
        Streams { stdout, stderr, terminals }
    }

    #[test]
    fn a_terminal_is_handed_over_unless_it_is_needed() {
        use Route::{Inherit, PassThrough, WithStdout};
        assert_eq!(decide(&TERMINAL), streams(Inherit, Inherit, [false; 2]));
        assert_eq!(decide(&PIPES), streams(PassThrough, PassThrough, [false; 2]));
        assert_eq!(decide(&Facts { same: true, ..PIPES }), streams(PassThrough, WithStdout, [false; 2]));
        assert_eq!(decide(&Facts { owned: true, ..TERMINAL }), streams(PassThrough, WithStdout, [true; 2]));
        let operation = Facts { owned: true, operation: true, ..TERMINAL };
        assert_eq!(decide(&operation), streams(PassThrough, WithStdout, [false; 2]));
        let piped = Facts { owned: true, terminal: [false, true], ..PIPES };
        assert_eq!(decide(&piped), streams(PassThrough, PassThrough, [false, true]));
        assert_eq!(decide(&Facts { owned: false, ..piped }), streams(PassThrough, Inherit, [false; 2]));
    }

    #[test]
    fn a_terminal_that_was_asked_for_serves_both_streams() {
        use Route::{Keep, PassThrough, WithStdout};
        assert_eq!(decide(&Facts { pty: true, ..PIPES }), streams(PassThrough, WithStdout, [true; 2]));
        assert_eq!(decide(&Facts { pty: true, ..TERMINAL }), streams(PassThrough, WithStdout, [true; 2]));
        assert_eq!(decide(&Facts { pty: true, json: true, ..PIPES }), streams(Keep, WithStdout, [true; 2]));
        assert_eq!(decide(&Facts { json: true, ..TERMINAL }), streams(Keep, Keep, [false; 2]));
        let apart = Facts { pty: true, terminal: [true, false], ..PIPES };
        assert_eq!(decide(&apart), streams(PassThrough, PassThrough, [true, false]));
        let to_a_pager = Facts { pty: true, terminal: [false, true], ..PIPES };
        assert_eq!(decide(&to_a_pager), streams(PassThrough, PassThrough, [true; 2]));
    }
}
