//! Parses, calls the app, exits by the table. The only place where the process ends.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;

use runner::app;
use runner::app::answer::{self, Request};
use runner::app::config::Config;
use runner::cli::{self, Invocation, Parsed};
use runner::error::Error;
use runner::model::exit_code::Exit;
use runner::model::request::AnswerOptions;
use runner::platform::signals;

/// What a panic said, instead of a trace that nobody can use.
static PANIC: Mutex<String> = Mutex::new(String::new());

fn main() {
    panic::set_hook(Box::new(|info| {
        if let Ok(mut text) = PANIC.lock() {
            *text = info.to_string().replace('\n', " ");
        }
    }));
    let exit = panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let text = PANIC.lock().map(|text| text.clone()).unwrap_or_default();
        fail(&Error::Internal(format!("runner failed: {text}")), &AnswerOptions::default())
    });
    leave(exit);
}

fn run() -> Exit {
    match cli::parse(std::env::args_os()) {
        Parsed::Run(invocation) => {
            carry_out(invocation).unwrap_or_else(|error| fail(&known(error), &AnswerOptions::default()))
        }
        Parsed::Say { text, to_stderr: true, exit } => {
            answer::say_rendered(&text);
            Exit::Code(exit)
        }
        Parsed::Say { text, to_stderr: false, exit } => match answer::print(&text) {
            Ok(()) => Exit::Code(exit),
            Err(error) => fail(&error, &AnswerOptions::default()),
        },
        Parsed::Wrong { error, answer } => fail(&error, &answer),
    }
}

/// Verbs with an answer of their own say how to leave; the others print a text, or fail.
fn carry_out(invocation: Invocation) -> anyhow::Result<Exit> {
    let text = match invocation {
        Invocation::Exec(options) => {
            return Ok(with_defaults(options.answer(), |config| options.resolve(config), app::exec::run));
        }
        Invocation::Batch(options) => {
            return Ok(with_defaults(options.answer(), |config| options.resolve(config), app::batch::run));
        }
        Invocation::Op(options) => {
            app::op::hide_parameters(options.words_shown());
            return Ok(with_defaults(options.answer(), |config| options.resolve(config), app::exec::run));
        }
        Invocation::TaskSubmit(options) => {
            if let Some(words) = options.words_shown() {
                app::op::hide_parameters(words);
            }
            return Ok(with_defaults(options.answer(), |config| options.resolve(config), app::task::run));
        }
        Invocation::TaskWait(options) => {
            return Ok(with_defaults(options.answer(), |config| options.resolve(config), app::task::run));
        }
        Invocation::Task(request) => return Ok(app::task::run(*request)),
        Invocation::WorkerRun(options) => {
            return Ok(with_defaults(options.answer(), |config| options.resolve(config), app::worker::run));
        }
        Invocation::Worker(request) => return Ok(app::worker::run(request)),
        Invocation::History(options) => {
            return Ok(with_defaults(options.answer(), |config| options.resolve(config), app::history::run));
        }
        Invocation::Notify(request) => return Ok(app::notify::run(&request)?),
        Invocation::Timeout(request) => return Ok(app::timeout::run(request)),
        Invocation::OperationChild(arguments) => return Ok(app::op::run_child(&arguments)),
        Invocation::ListOperations { json } => app::op::list(json),
        Invocation::Completions { shell } => app::completions::script(cli::command(), shell),
        Invocation::Man { dir: Some(dir), .. } => {
            app::man::write(cli::command(), &dir)?;
            String::new()
        }
        Invocation::Man { dir: None, page } => app::man::one(cli::command(), page.as_deref())?,
        Invocation::Schema { name } => app::schema::text(name.as_deref())?,
    };
    answer::print(&text)?;
    Ok(Exit::Code(0))
}

/// The error of ours that it is, or one that says what it was.
fn known(error: anyhow::Error) -> Error {
    error.downcast().unwrap_or_else(|other| Error::Internal(format!("{other:#}")))
}

/// Runs what the options make together with the defaults.
fn with_defaults<R>(
    answer: AnswerOptions,
    resolve: impl FnOnce(&Config) -> Result<R, Error>,
    run: impl FnOnce(R) -> Exit,
) -> Exit {
    let answer = AnswerOptions { error_format: app::config::error_format(), ..answer };
    let resolved = app::config::load().and_then(|config| {
        if answer.verbose > 0 {
            for file in &config.files {
                answer::say(&format!("runner: read {}", file.display()));
            }
            for file in &config.ignored {
                answer::say(&format!("runner: ignored {}: {}", file.path.display(), file.reason));
            }
        }
        resolve(&config)
    });
    match resolved {
        Ok(request) => run(request),
        Err(error) => fail(&error, &answer),
    }
}

fn fail(error: &Error, options: &AnswerOptions) -> Exit {
    answer::deliver_error(error, options, &Request::begin(None));
    Exit::Code(error.exit_code())
}

#[expect(clippy::disallowed_methods, reason = "the only exit")]
fn leave(exit: Exit) -> ! {
    match exit {
        Exit::Code(code) => std::process::exit(code),
        Exit::Signal(signal) => {
            signals::die_by(signal);
            std::process::exit(runner::model::exit_code::SIGNAL_BASE + signal.number())
        }
    }
}
