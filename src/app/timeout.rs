//! `runner timeout`: timeout(1) on the same supervisor. Streams are inherited, nothing is read from the environment, and
//! there is no envelope; what it adds is that nothing escapes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::app::answer;
use crate::app::single::{Ended, Single};
use crate::backend::local::{Local, Rungs};
use crate::backend::{Assignment, Backend};
use crate::batch::tries::Tries;
use crate::error::{Error, Result};
use crate::model::event::Event;
use crate::model::exit_code::{self, Exit};
use crate::model::job::{Command, JobSpec, Leftovers, Limits, Route, Scope, Stdin, Streams, Surroundings};
use crate::model::outcome::{Cause, End, Outcome, StartStep};
use crate::model::request::TimeoutRequest;
use crate::model::retry::Retry;
use crate::model::signal::Signal;
use crate::platform::signals::{self, Inherited};
use crate::supervise::orders::Manners;

/// Messages begin with this name, as scripts know it.
const NAME: &str = "timeout";

/// Runs the command under the time limit and says how to leave.
pub fn run(request: TimeoutRequest) -> Exit {
    let name = NAME;
    let inherited = Inherited::read();
    signals::set_own_dispositions();
    signals::unblock_all();
    let program = request.command.first().map(|program| quoted(program)).unwrap_or_default();
    match supervise(&request, &program, name, inherited) {
        Ok(outcome) => exit_of(&request, &outcome, &program, name),
        Err(error) => {
            say(name, &error.to_string());
            Exit::Code(error.exit_code())
        }
    }
}

fn supervise(request: &TimeoutRequest, program: &str, name: &str, inherited: Inherited) -> Result<Outcome> {
    let limits = Limits {
        timeout: request.duration,
        max_timeout: None,
        parent_timeout: None,
        budget: None,
        idle_timeout: None,
        warn_after: None,
        warn_signal: None,
        stop_signal: request.signal,
        grace: request.kill_after,
        scope: if request.foreground { Scope::Command } else { Scope::Group },
    };
    let spec = JobSpec {
        command: Command::Argv(request.command.clone()),
        name: None,
        limits,
        surroundings: Surroundings { stdin: Stdin::Inherit, ..Surroundings::default() },
        leftovers: Leftovers::Ignore,
        retry: Retry::default(),
        capture_limit: 0,
        log: None,
        sd_notify: false,
    };
    let backend = Local { manners: Manners::PassOn, rungs: Rungs::Best, inherited };
    let streams = Streams { stdout: Route::Inherit, stderr: Route::Inherit, terminals: [false; 2] };
    let env = std::env::vars_os().collect();
    let tries = Tries::new(Retry::default(), &spec.limits, 0);
    let mut given = Some((spec, env));
    let prepare = move |attempt, limits| {
        let again = || Error::Internal("a command of timeout is run once".to_owned());
        let (spec, env) = given.take().ok_or_else(again)?;
        let spec = JobSpec { limits, ..spec };
        Ok(Assignment {
            tag: 0,
            spec,
            streams,
            job_id: String::new(),
            attempt,
            stage: None,
            lines: None,
            record: None,
            pulse: None,
            env,
        })
    };
    let mut outcome = None;
    let mut ended = Ended::default();
    let listener = |event| match event {
        Event::StopBegun { signal, .. } | Event::SignalForwarded(signal) if request.verbose => {
            let signal = if signal == Signal::NULL { "EXIT".to_owned() } else { signal.to_string() };
            say(name, &format!("sending signal {signal} to command {program}"));
        }
        Event::JobFinished(finished) => outcome = Some(*finished),
        _ => {}
    };
    backend.run(Box::new(Single::new(tries, prepare, listener, &mut ended)), &mut || {})?;
    if let Some(error) = ended.failure {
        return Err(error);
    }
    outcome.ok_or_else(|| Error::Internal("the watchdog gave no outcome".to_owned()))
}

/// The exit of timeout(1): 124 for a timeout, 137 where it took a KILL, else what the command did.
fn exit_of(request: &TimeoutRequest, outcome: &Outcome, program: &str, name: &str) -> Exit {
    let timed_out = matches!(outcome.cause, Some(Cause::Timeout { .. }));
    let killed = outcome.signals.contains(&Signal::KILL);
    match &outcome.end {
        End::NotStarted(failure) => {
            let reason = std::io::Error::from_raw_os_error(failure.os_error);
            say(name, &format!("failed to run command {program}: {}", crate::error::plain(&reason)));
            Exit::Code(match (failure.step, failure.os_error) {
                (StartStep::Exec, libc::ENOENT) => exit_code::NOT_FOUND,
                (StartStep::Exec, _) => exit_code::CANNOT_RUN,
                _ => exit_code::RUNNER_FAILED,
            })
        }
        End::Exited(code) if timed_out && !request.preserve_status => {
            let _ = code;
            Exit::Code(exit_code::TIMED_OUT)
        }
        End::Exited(code) => Exit::Code(*code),
        End::Signaled { signal, core_dumped } => {
            if *core_dumped {
                say(name, "the monitored command dumped core");
            }
            let of_signal = Exit::Code(exit_code::SIGNAL_BASE + signal.number());
            match (timed_out, *signal) {
                (false, signal) => Exit::Signal(signal),
                (true, Signal::KILL) if killed => of_signal,
                (true, _) if request.preserve_status => of_signal,
                (true, _) => Exit::Code(exit_code::TIMED_OUT),
            }
        }
        End::Unknown => Exit::Code(exit_code::SIGNAL_BASE + Signal::KILL.number()),
    }
}

/// A name between quotes, with what would confuse a terminal or a reader escaped, as coreutils write it in the C locale.
fn quoted(name: &OsStr) -> String {
    let mut text = String::from("'");
    for byte in name.as_bytes() {
        match byte {
            b'\'' | b'\\' => text.extend(['\\', char::from(*byte)]),
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\r' => text.push_str("\\r"),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\{other:03o}")),
        }
    }
    text.push('\'');
    text
}

fn say(name: &str, message: &str) {
    answer::say(&format!("{name}: {message}"));
}
