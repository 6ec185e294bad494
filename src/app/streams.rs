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
        last_only: request.job.retry.retries > 0 && !request.every_attempt,
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
    /// It is tried again, and only what the last attempt writes is to appear.
    last_only: bool,
    /// Our stdout and stderr are terminals.
    terminal: [bool; 2],
    /// They lead to the same place.
    same: bool,
}

fn decide(facts: &Facts) -> Streams {
    let Streams { stdout, stderr, terminals } = decide_for_one(facts);
    // On a terminal people watch; whoever reads a pipe or a file gets what a job without failures would have written.
    let spooled = |route, index: usize| {
        if route == Route::PassThrough && facts.last_only && !facts.terminal[index] { Route::Spool } else { route }
    };
    Streams { stdout: spooled(stdout, 0), stderr: spooled(stderr, 1), terminals }
}

/// As if there were one attempt.
fn decide_for_one(facts: &Facts) -> Streams {
    let Facts { json, pty, owned, operation, last_only: _, terminal, same } = *facts;
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

    const PIPES: Facts = Facts {
        json: false,
        pty: false,
        owned: false,
        operation: false,
        last_only: false,
        terminal: [false; 2],
        same: false,
    };
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
    fn what_only_the_last_attempt_may_write_waits_unless_people_watch() {
        use Route::{Inherit, Keep, PassThrough, Spool, WithStdout};
        let last = |facts: Facts| decide(&Facts { last_only: true, ..facts });
        assert_eq!(last(PIPES), streams(Spool, Spool, [false; 2]));
        assert_eq!(last(Facts { same: true, ..PIPES }), streams(Spool, WithStdout, [false; 2]));
        assert_eq!(last(TERMINAL), streams(Inherit, Inherit, [false; 2]));
        assert_eq!(last(Facts { owned: true, ..TERMINAL }), streams(PassThrough, WithStdout, [true; 2]));
        assert_eq!(last(Facts { json: true, ..PIPES }), streams(Keep, Keep, [false; 2]));
        assert_eq!(last(Facts { pty: true, ..PIPES }), streams(Spool, WithStdout, [true; 2]));
        let mixed = Facts { terminal: [false, true], ..PIPES };
        assert_eq!(last(mixed), streams(Spool, Inherit, [false; 2]));
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
