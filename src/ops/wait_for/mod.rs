//! `wait-for`: until addresses answer, files come or go, processes end, commands succeed.
//!
//! A thread per target asks and asks again (see `watcher`), so that one that hangs keeps no other waiting. The
//! operation's own thread gathers what they say, reports it, and decides when it is enough.

mod probe;
mod tally;
mod target;
mod watcher;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::model::envelope::ErrorCode;
use crate::ops::parameters::Span;
use crate::ops::{Context, Failure, Operation};
use crate::time::clock::{Clock, SystemClock};

use probe::Expectation;
use tally::{Tally, seconds};
use target::Target;
use watcher::{News, Watch};

/// Asking more often than this would be a load and no answer.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
/// How often it reports where nothing changes.
const REPORT: Duration = Duration::from_millis(500);
/// How long the shell lines that run at the end have to go away: when it has succeeded, and when it was told to stop.
const FAREWELL: Duration = Duration::from_secs(2);
const QUICK_FAREWELL: Duration = Duration::from_millis(50);

#[derive(Args, Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitFor {
    /// What to wait for: tcp://HOST:PORT, http://..., https://..., unix:PATH, file:PATH, file:!PATH, pid:N, cmd:LINE
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<String>,
    /// One of the targets is enough
    #[arg(long)]
    #[serde(default)]
    any: bool,
    /// The HTTP status that counts: numbers and ranges such as 200,204,300-399 [default: 200-299]
    #[arg(long, value_name = "LIST")]
    #[serde(default)]
    status: Option<String>,
    /// The body of the HTTP answer must match, within its first MiB
    #[arg(long, value_name = "REGEX")]
    #[serde(default)]
    body: Option<String>,
    /// How long to pause between two attempts; at least 10ms
    #[arg(long, value_name = "DUR", default_value = "500ms")]
    #[serde(default = "default_interval")]
    interval: Span,
    /// It must hold for so long, without interruption
    #[arg(long, value_name = "DUR")]
    #[serde(default)]
    stable: Option<Span>,
}

fn default_interval() -> Span {
    Span(Duration::from_millis(500))
}

impl Operation for WaitFor {
    const NAME: &'static str = "wait-for";
    const ABOUT: &'static str = "Wait for ports, URLs, files, processes or commands";
    const LONG_ABOUT: &'static str = "\
Wait until every target holds at the same time, or with --any until one does. A target is one of

  tcp://HOST:PORT   somebody accepts connections there
  http://, https:// the answer has the status of --status and the body of --body; redirects are followed, unless
                    --status has theirs
  unix:PATH         a stream socket accepts connections
  file:PATH         the file exists; a link must lead somewhere
  file:!PATH        nothing of this name exists
  pid:N             the process that has this pid now has ended
  cmd:LINE          a shell line exits with 0; it reads nothing, and its output goes nowhere

Targets are asked side by side, each again after --interval. An attempt to connect ends after 5 seconds, an HTTP answer \
or a shell line after 10, or after the interval where that is longer. A shell line is ended with everything in its process group.

The partial result and the result list each target with whether it holds, how often it was asked, its last error and \
for how long it has held; of more than 200, those that do not hold come first, and targets_omitted counts the rest. It \
fails only where waiting is in vain: a shell line without a shell. A limit on the whole is \
the job's --timeout.";
    const EXAMPLES: &'static [&'static str] = &[
        "wait-for tcp://localhost:5432 http://localhost:8080/health",
        "wait-for --any file:/run/ready pid:4711",
        "wait-for --stable 5s --interval 1s 'cmd:pg_isready -q'",
    ];

    fn redact(parameters: &mut Map<String, Value>) {
        for target in parameters.get_mut("targets").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::String(text) = target {
                *text = target::shown(text);
            }
        }
    }

    fn check(&self) -> Result<()> {
        let targets = self.parsed()?;
        self.expectation()?;
        for (option, value) in [("--status", &self.status), ("--body", &self.body)] {
            if value.is_some() && !targets.iter().any(Target::is_http) {
                return Err(invalid(
                    option,
                    format!("{option} is about HTTP answers, and no target is a URL"),
                    format!("Add an http:// or https:// target, or leave {option} out"),
                ));
            }
        }
        if self.interval.0 < SHORTEST_INTERVAL {
            return Err(invalid(
                "--interval",
                format!("an interval of {} is too short", self.interval),
                "Give --interval at least 10ms".to_owned(),
            ));
        }
        Ok(())
    }

    fn run(self, context: &mut Context) -> std::result::Result<Value, Failure> {
        let targets = self.parsed()?;
        let watch = Arc::new(Watch::new(
            self.interval.0,
            self.stable.map_or(Duration::ZERO, |stable| stable.0),
            self.expectation()?,
            SystemClock::start(),
        )?);
        let mut tally = Tally::new(&targets, self.any, watch.stable);
        let (watchers, news) = watcher::start(&watch, targets)?;
        let result = gather(context, &watch, &mut tally, &news);
        context.partial_now(&tally.report(watch.clock.now()));
        watch.stop();
        watcher::await_end(watchers, &watch.clock, if context.cancelled() { QUICK_FAREWELL } else { FAREWELL });
        result?;
        let mut report = tally.report(watch.clock.now());
        report["waited_seconds"] = json!(seconds(context.elapsed()));
        Ok(report)
    }
}

impl WaitFor {
    fn parsed(&self) -> Result<Vec<Target>> {
        if self.targets.is_empty() {
            let remedy = "Name at least one, such as tcp://localhost:5432 or file:/run/ready".to_owned();
            return Err(invalid("TARGET", "there is no target to wait for".to_owned(), remedy));
        }
        self.targets.iter().map(|text| Target::parse(text)).collect()
    }

    fn expectation(&self) -> Result<Expectation> {
        Expectation::parse(self.status.as_deref(), self.body.as_deref())
    }
}

fn invalid(argument: &str, message: String, remediation: String) -> Error {
    Error::Invalid { argument: Some(argument.to_owned()), message, remediation }
}

/// Takes in what the watchers say, until it is enough or there is an order to stop.
fn gather(
    context: &mut Context,
    watch: &Watch,
    tally: &mut Tally,
    news: &std::sync::mpsc::Receiver<News>,
) -> std::result::Result<(), Failure> {
    loop {
        let mut changed = false;
        while let Ok(news) = news.try_recv() {
            changed |= tally.take(news);
        }
        let (done, whole) = tally.score();
        context.progress(done, whole);
        if changed {
            context.status(tally.summary());
            context.partial_now(&tally.report(watch.clock.now()));
        } else {
            context.partial(|| tally.report(watch.clock.now()));
        }
        if tally.is_enough() {
            return Ok(());
        }
        if let Some((target, reason)) = tally.vain() {
            let remedy = "Install a shell as 'sh', or check PATH and the permissions of the shell";
            return Err(Failure::new(ErrorCode::DependencyError, reason, remedy).about(target));
        }
        context.check()?;
        watch.await_news(&context.cancel(), REPORT);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::WaitFor;
    use crate::error::Error;
    use crate::ops::Operation;

    fn refusal(parameters: serde_json::Value) -> (String, String) {
        let parameters: WaitFor = serde_json::from_value(parameters).expect("the form is right");
        match parameters.check() {
            Err(Error::Invalid { argument, message, .. }) => (argument.expect("an argument is named"), message),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn wrong_parameters_are_refused_by_name() {
        for (parameters, argument) in [
            (json!({"targets": []}), "TARGET"),
            (json!({"targets": ["file:/x"], "status": "200"}), "--status"),
            (json!({"targets": ["tcp://h:1"], "body": "x"}), "--body"),
            (json!({"targets": ["file:/x"], "interval": "9ms"}), "--interval"),
            (json!({"targets": ["file:/x"], "interval": 0}), "--interval"),
        ] {
            assert_eq!(refusal(parameters.clone()).0, argument, "{parameters}");
        }
        for target in ["", "x", "gopher://h:1", "tcp://h", "tcp://h:0", "pid:x", "file:", "unix:", "cmd: ", "tcp:h:1"] {
            let (argument, message) = refusal(json!({"targets": [target]}));
            assert_eq!(argument, target, "{message}");
        }
    }

    #[cfg(feature = "fetch")]
    #[test]
    fn what_an_answer_must_be_is_read_before_anything_starts() {
        for (parameters, argument) in [
            (json!({"targets": ["http://h/"], "status": "99"}), "--status"),
            (json!({"targets": ["http://h/"], "status": "300-200"}), "--status"),
            (json!({"targets": ["http://h/"], "status": "200,"}), "--status"),
            (json!({"targets": ["http://h/"], "status": "2xx"}), "--status"),
            (json!({"targets": ["http://h/"], "body": "("}), "--body"),
            (json!({"targets": ["http:///x"]}), "http:///x"),
            (json!({"targets": ["http://h:0/x"]}), "http://h:0/x"),
            (json!({"targets": ["http://u:secret@h:99999/x"]}), "http://h:99999/x"),
        ] {
            assert_eq!(refusal(parameters.clone()).0, argument, "{parameters}");
        }
    }

    #[cfg(not(feature = "fetch"))]
    #[test]
    fn a_build_without_http_says_so() {
        let (argument, message) = refusal(json!({"targets": ["https://u:secret@h/"]}));
        assert_eq!(argument, "https://h/");
        assert!(message.contains("built without"), "{message}");
    }
}
