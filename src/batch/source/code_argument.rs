//! Which arguments of a command are code, and the refusal of an item in them.
//!
//! Called for the words of a template and for the commands of a line, before the first job. The list of programs is
//! closed and in the manual page; what another program takes for code cannot be recognised.

use crate::batch::source::option_words::{operand, options, split_words, values_of};
use crate::batch::source::placeholder::{Notation, Part, Placeholder};
use crate::batch::source::programs::{self, Language, OptionOrder, Options, Takes};
use crate::batch::source::shell_scanner::{Piece, SimpleCommand, Word, scan};
use crate::error::{Error, Result};

/// Commands within commands, such as `sudo env nice`, are followed no deeper.
const DEPTH_LIMIT: usize = 16;

/// An argument, or several, that a command takes for code.
struct Code {
    command: String,
    language: Language,
    text: Vec<u8>,
    placeholders: Vec<Placeholder>,
}

/// Where commands come from.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) notation: &'a Notation,
    /// The item was appended, since no placeholder says where it goes.
    pub(super) is_appended: bool,
}

/// Refuses items in the code of any of these commands. An item that is quoted for one more shell may be in it.
pub(super) fn check(commands: &[SimpleCommand], origin: Origin) -> Result<()> {
    check_commands(commands, origin, true)
}

fn check_commands(commands: &[SimpleCommand], origin: Origin, quotes: bool) -> Result<()> {
    let integers = integers(commands);
    for command in commands {
        let mut finder = CodeFinder { found: Vec::new(), document: &command.document };
        finder.integers(&command.words, &integers);
        finder.command(&command.words, 0);
        finder.found.iter().try_for_each(|code| code.check(origin, quotes))?;
    }
    Ok(())
}

impl Code {
    fn check(&self, origin: Origin, quotes: bool) -> Result<()> {
        if !self.placeholders.iter().any(is_item) {
            return Ok(());
        }
        let is_quoted = |placeholder: &Placeholder| {
            !is_item(placeholder)
                || matches!(placeholder, Placeholder::All(Part::Quoted) | Placeholder::Nth(_, Part::Quoted))
        };
        if self.language != Language::Shell || !quotes || !self.placeholders.iter().all(is_quoted) {
            return Err(self.refused(quotes, origin));
        }
        let notation = origin.notation;
        let inner = scan(&self.text, notation)?;
        let is_word = |piece: &&Piece| match piece {
            Piece::Word(placeholder) | Piece::Bare(placeholder) => is_item(placeholder),
            Piece::Text(_) | Piece::Double(_) | Piece::Single(_) => false,
        };
        let items = (0..self.text.len())
            .filter(|at| notation.at_start(&self.text[*at..]).is_some_and(|(placeholder, _)| is_item(&placeholder)));
        // What the scanner did not read as a placeholder lost its meaning to a backslash, a `$` or a comment.
        if inner.is_backquoted || inner.pieces.iter().filter(is_word).count() != items.count() {
            return Err(Error::Invalid {
                argument: Some("COMMAND".to_owned()),
                message: format!("{{q}} is not a plain word in the code that {} runs", self.command),
                remediation:
                    "Write it outside of quotes, backquotes and comments, and not behind a backslash or $: {q} brings \
                              its own quotes, as in: sh -c 'cat {q}'"
                        .to_owned(),
            });
        }
        check_commands(&inner.commands, origin, false)
    }
}

/// An item, or a part of one. The number of the job is harmless everywhere.
fn is_item(placeholder: &Placeholder) -> bool {
    *placeholder != Placeholder::Number
}

impl Code {
    fn refused(&self, quotes: bool, origin: Origin) -> Error {
        let notation = origin.notation;
        let placeholder = String::from_utf8_lossy(notation.whole()).into_owned();
        let place = match origin.is_appended {
            true => "Append {q}".to_owned(),
            false => format!("Write {{q}} in place of {placeholder}, outside of quotes"),
        };
        let remediation = match self.language {
            Language::Shell if quotes && self.text == notation.whole() => {
                "Write {q} for a word of the code: the item quoted for one more shell; to run items that are lines for a shell, \
                 make a job list of them: {\"shell\": \"LINE\"} on a line for each"
                    .to_owned()
            }
            Language::Shell if quotes && self.command == "ssh" => {
                format!("{place}: the item quoted for one more shell, as in: ssh host cat {{q}}")
            }
            Language::Shell if quotes => format!(
                "{place}: the item quoted for one more shell; or pass the item on as an argument, as in: sh -c 'cat \"$1\"' sh \
                 {placeholder}"
            ),
            Language::Shell => {
                "Quoting for one more shell does not suffice here: put the inner code into a script of its own, and pass the item \
                 on as an argument"
                    .to_owned()
            }
            Language::Expression => "Check the item before, as in: case $n in ''|*[!0-9]*) exit 1;; esac".to_owned(),
            Language::Other(remedy) => {
                format!("Pass the item on beside the code, as in: {}; {{q}} quotes for shells alone", remedy.replace("{}", &placeholder))
            }
        };
        Error::Invalid {
            argument: Some("COMMAND".to_owned()),
            message: format!("{} would run the item as code", self.command),
            remediation,
        }
    }
}

/// What is found while the words of a command are read.
struct CodeFinder<'a> {
    found: Vec<Code>,
    /// What the command reads, where that stands in the line.
    document: &'a Word,
}

impl CodeFinder<'_> {
    fn add(&mut self, command: &str, language: Language, words: &[Word]) {
        let texts: Vec<&[u8]> = words.iter().map(|word| &word.text[..]).collect();
        let mut placeholders: Vec<Placeholder> = words.iter().flat_map(|word| &word.placeholders).copied().collect();
        // What a command prints about an item may be a number.
        if language != Language::Expression {
            placeholders.extend(words.iter().flat_map(|word| &word.outputs));
        }
        self.found.push(Code { command: command.to_owned(), language, text: texts.join(&b' '), placeholders });
    }

    /// What the command reads is code.
    fn add_document(&mut self, command: &str, language: Language) {
        self.add(command, language, std::slice::from_ref(self.document));
    }

    /// The values of these options, from a byte of a word on.
    fn add_values(&mut self, command: &str, language: Language, words: &[Word], values: &[(usize, usize)]) {
        for (at, from) in values {
            let Some(word) = words.get(*at) else { continue };
            self.add(command, language, &[rest_of(word, *from)]);
        }
    }

    /// An item as the value of a variable that was declared to be an integer, or the name of another one.
    fn integers(&mut self, words: &[Word], integers: &[&[u8]]) {
        for word in words.iter().take_while(|word| is_assignment(word)) {
            if integers.contains(&name_of(word)) {
                self.add("an integer or name reference", Language::Expression, std::slice::from_ref(word));
            }
        }
        if let [first, name, behind @ ..] = words
            && matches!(&first.text[..], b"for" | b"read")
            && integers.contains(&&name.text[..])
        {
            self.add("an integer or name reference", Language::Expression, behind);
        }
    }

    /// Finds the code among the words of a command, and in what it reads.
    fn command(&mut self, words: &[Word], depth: usize) {
        let assignments = words.iter().take_while(|word| is_assignment(word)).count();
        for word in &words[..assignments] {
            // `name[item]=` is an expression.
            let subscript = word.text.iter().position(|byte| *byte == b'=').unwrap_or_default();
            if word.text[..subscript].contains(&b'[') {
                self.add("a subscript", Language::Expression, std::slice::from_ref(word));
            }
        }
        let words = &words[assignments..];
        let Some(first) = words.first() else { return };
        if depth > DEPTH_LIMIT || first.placeholders.iter().any(is_item) {
            return;
        }
        let (name, rest) = (programs::base(&first.text), &words[1..]);
        let Some(takes) = programs::takes(&first.text) else {
            // What is behind `--` may be a command; other words may be anything.
            if !PRINTING.contains(&name) {
                self.behind_dashes(rest, depth);
            }
            return;
        };
        match takes {
            Takes::Everything(language) => self.add(name, language, rest),
            Takes::FirstOperand(language) => self.add(name, language, &rest[operand(rest, options(rest, NONE))]),
            Takes::Shell => self.shell(name, rest),
            Takes::Source => {
                let file = operand(rest, options(rest, NONE));
                self.file(name, Language::Shell, &rest[file]);
            }
            Takes::OperandsBehind(listed, operands) => {
                let mut at = (options(rest, listed) + operands).min(rest.len());
                at += usize::from(name == "sg" && rest.get(at).is_some_and(|word| word.text == b"-c"));
                self.add(name, Language::Shell, &rest[at..]);
                if at == rest.len() {
                    self.add_document(name, Language::Shell);
                }
            }
            Takes::Option(code) => {
                let is_behind = code.order == OptionOrder::Behind;
                let rest = if is_behind { &rest[(options(rest, code.others) + 1).min(rest.len())..] } else { rest };
                let found = values_of(rest, &code);
                self.add_values(name, code.language, rest, &found);
                if !found.is_empty() || code.language == Language::Expression {
                    return;
                }
                let behind = &rest[options(rest, code.others)..];
                match code.order {
                    OptionOrder::Behind => self.command(behind, depth + 1),
                    OptionOrder::Anywhere => {
                        self.command(behind, depth + 1);
                        self.add_document(name, code.language);
                    }
                    OptionOrder::First => match module(rest, code.others) {
                        Some((b"timeit" | b"pdb", behind)) => self.add(name, code.language, behind),
                        Some(_) => {}
                        None => self.file(name, code.language, &behind[operand(behind, 0)]),
                    },
                }
            }
            Takes::Names { evaluates } => self.names(name, rest, evaluates),
            Takes::Program(listed, files) => {
                let language = Language::Other(programs::AWK);
                self.add_values(name, language, rest, &values_of(rest, &programs::AWK_SOURCE));
                for (at, from) in values_of(rest, &programs::AWK_FILE) {
                    if let Some(word) = rest.get(at) {
                        self.file(name, language, &[rest_of(word, from)]);
                    }
                }
                let has_file = rest.iter().any(|word| files.iter().any(|file| word.text.starts_with(file.as_bytes())));
                if !has_file {
                    self.add(name, language, &rest[operand(rest, options(rest, listed))]);
                }
            }
            Takes::Command { options: listed, operands, starts_shell } => {
                let is_architecture = |word: &Word| programs::is_architecture(&word.text);
                let named = usize::from(name == "setarch" && rest.first().is_some_and(is_architecture));
                let rest = &rest[named..];
                let behind = &rest[(options(rest, listed) + operands).min(rest.len())..];
                self.command(behind, depth + 1);
                if behind.is_empty() && starts_shell {
                    self.add_document(name, Language::Shell);
                }
            }
            Takes::Container { flags, operands } => self.container(rest, flags, operands, depth),
            Takes::Runner => self.runner(name, rest, depth),
            Takes::Env => self.env(name, words, depth),
            Takes::Exec => {
                for (at, word) in rest.iter().enumerate() {
                    if matches!(&word.text[..], b"-exec" | b"-execdir" | b"-ok" | b"-okdir") {
                        self.command(&rest[at + 1..], depth + 1);
                    }
                }
            }
            Takes::Test { evaluates } => {
                for (at, word) in rest.iter().enumerate() {
                    let range = match &word.text[..] {
                        b"-eq" | b"-ne" | b"-lt" | b"-le" | b"-gt" | b"-ge" if evaluates => {
                            at.saturating_sub(1)..at + 2
                        }
                        b"-v" => at..at + 2,
                        _ => continue,
                    };
                    self.add(name, Language::Expression, &rest[range.start..range.end.min(rest.len())]);
                }
            }
            Takes::Parallel => {
                let behind = &rest[options(rest, programs::PARALLEL)..];
                let is_source = |word: &Word| matches!(&word.text[..], b":::" | b"::::" | b":::+" | b"::::+");
                let end = behind.iter().position(is_source).unwrap_or(behind.len());
                // Without a command, the items of parallel are commands.
                self.add(name, Language::Shell, if end == 0 { behind } else { &behind[..end] });
                if end == 0 {
                    self.add_document(name, Language::Shell);
                }
            }
        }
    }

    fn behind_dashes(&mut self, words: &[Word], depth: usize) {
        if let Some(at) = words.iter().position(|word| word.text == b"--") {
            self.command(&words[at + 1..], depth + 1);
        }
    }

    /// `docker exec [OPTION...] NAME COMMAND`, and the like.
    fn container(&mut self, words: &[Word], flags: Options, operands: usize, depth: usize) {
        let Some(verb) = words.iter().position(|word| programs::CONTAINER_VERBS.contains(&&word.text[..])) else {
            return;
        };
        let rest = &words[verb + 1..];
        let named = options(rest, flags);
        let behind = &rest[(named + operands).min(rest.len())..];
        let mut entry = rest[..named].iter().enumerate().filter_map(|(at, word)| match &word.text[..] {
            b"--entrypoint" => rest.get(at + 1).cloned(),
            text => text.starts_with(b"--entrypoint=").then(|| rest_of(word, 13)),
        });
        match entry.next() {
            Some(program) => self.command(&[&[program], behind].concat(), depth + 1),
            None => self.command(behind, depth + 1),
        }
        self.behind_dashes(rest, depth);
    }

    /// runner itself: lines of `-c` and `--on-done`, targets of `wait-for`, and the command of a job.
    fn runner(&mut self, name: &str, words: &[Word], depth: usize) {
        let Some(verb) = words.first() else { return };
        if verb.text == b"timeout" {
            return self.command(words, depth + 1);
        }
        let has_subverb = matches!(&verb.text[..], b"task" | b"op" | b"worker");
        let mut rest = &words[(1 + usize::from(has_subverb)).min(words.len())..];
        loop {
            let found = values_of(rest, &programs::RUNNER_LINES);
            self.add_values(name, Language::Shell, rest, &found);
            let at = options(rest, programs::RUNNER);
            let is_end = at > 0 && rest[at - 1].text == b"--";
            rest = &rest[at..];
            let Some(first) = rest.first() else { return };
            match &verb.text[..] {
                b"exec" => return self.command(rest, depth + 1),
                _ if is_end => return self.command(rest, depth + 1),
                b"batch" if first.text == b":::" => return,
                b"op" => {
                    let line = first.text.windows(4).position(|kind| kind == b"cmd:");
                    if let Some(at) = line {
                        self.add(name, Language::Shell, &[rest_of(first, at + 4)]);
                    }
                }
                _ => {}
            }
            rest = &rest[1..];
        }
    }

    /// `env`: the words of -S stand in its place, before those behind it.
    fn env(&mut self, name: &str, words: &[Word], depth: usize) {
        let rest = &words[1..];
        let found = values_of(rest, &programs::SPLIT);
        self.add_values(name, programs::SPLIT.language, rest, &found);
        let Some((at, from)) = found.first().copied().filter(|(at, _)| *at < rest.len()) else {
            return self.command(&rest[options(rest, programs::ENV)..], depth + 1);
        };
        let split = split_words(&rest[at].text[from..]);
        if depth < DEPTH_LIMIT {
            self.command(&[&words[..1], &split, &rest[at + 1..]].concat(), depth + 1);
        }
    }

    fn names(&mut self, name: &str, words: &[Word], evaluates: bool) {
        // Values of integers, arrays and name references are evaluated, and so are subscripts.
        let is_typed = |word: &Word| matches!(&word.text[..], [b'-', flags @ ..] if flags.iter().any(|flag| b"iaAn".contains(flag)));
        let is_typed = evaluates || words.iter().any(is_typed);
        let has_subscript = |word: &Word| word.text.iter().take_while(|byte| **byte != b'=').any(|byte| *byte == b'[');
        for word in words.iter().filter(|word| !word.text.starts_with(b"-")) {
            if !is_assignment(word) || is_typed || has_subscript(word) {
                self.add(name, Language::Expression, std::slice::from_ref(word));
            }
        }
    }

    /// `sh [OPTION...] -c CODE`: the code is the first operand behind all options.
    fn shell(&mut self, name: &str, words: &[Word]) {
        let (mut at, mut has_code, mut reads_input) = (0, false, false);
        while let Some(word) = words.get(at) {
            let text = &word.text[..];
            if !matches!(text, [b'-' | b'+', ..]) {
                break;
            }
            at += 1;
            match text.strip_prefix(b"--") {
                Some(b"") => break,
                Some(b"rcfile" | b"init-file") => at += 1,
                Some(_) => {}
                None if text == b"-" => break,
                None => {
                    has_code |= text.contains(&b'c');
                    reads_input |= text.contains(&b's');
                    at += text[1..].iter().filter(|letter| matches!(letter, b'o' | b'O')).count();
                }
            }
        }
        let operand = operand(words, at);
        if has_code {
            self.add(name, Language::Shell, &words[operand.clone()]);
        }
        if reads_input || operand.is_empty() {
            self.add_document(name, Language::Shell);
        } else if !has_code {
            self.file(name, Language::Shell, &words[operand]);
        }
    }

    /// A file of code, which is the input where it is called so, or is not named.
    fn file(&mut self, name: &str, language: Language, file: &[Word]) {
        match file {
            [file] if file.text.starts_with(b"<(") => self.add(name, language, std::slice::from_ref(file)),
            [file] if !is_input(&file.text) => {}
            _ => self.add_document(name, language),
        }
    }
}

/// Commands whose arguments are text, whatever they look like.
const PRINTING: [&str; 2] = ["echo", ":"];

/// No option has a value.
const NONE: Options = Options { letters: "", longs: "", have_values: true };

/// The name of the standard input, or of a descriptor.
fn is_input(name: &[u8]) -> bool {
    let is_numbered = [&b"/dev/fd/"[..], b"/proc/self/fd/"].iter().any(|start| name.starts_with(start));
    is_numbered || matches!(name, b"-" | b"/dev/stdin")
}

/// What is behind the first bytes of a word.
fn rest_of(word: &Word, from: usize) -> Word {
    Word { text: word.text[from.min(word.text.len())..].to_vec(), ..word.clone() }
}

/// `-m MODULE` of python, and what is behind it.
fn module(words: &[Word], listed: Options) -> Option<(&[u8], &[Word])> {
    words.iter().take(options(words, listed)).enumerate().find_map(|(at, word)| match &word.text[..] {
        [b'-', b'-', ..] => None,
        [b'-', .., b'm'] => Some((&words.get(at + 1)?.text[..], &words[at + 2..])),
        [b'-', b'm', module @ ..] => Some((module, &words[at + 1..])),
        _ => None,
    })
}

/// Names of variables whose values are evaluated, as these commands declare them.
fn integers(commands: &[SimpleCommand]) -> Vec<&[u8]> {
    let mut names = Vec::new();
    for command in commands {
        let Some((first, rest)) = command.words.split_first() else { continue };
        let Some(Takes::Names { evaluates }) = programs::takes(&first.text) else { continue };
        let is_typed =
            |word: &Word| matches!(&word.text[..], [b'-', flags @ ..] if flags.iter().any(|flag| b"in".contains(flag)));
        let declares = matches!(&first.text[..], b"declare" | b"local" | b"typeset") && rest.iter().any(is_typed);
        if evaluates || declares {
            names.extend(rest.iter().filter(|word| !word.text.starts_with(b"-")).map(name_of));
        }
    }
    names
}

/// The name that a word begins with.
fn name_of(word: &Word) -> &[u8] {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    &word.text[..word.text.iter().take_while(|byte| is_name(byte)).count()]
}

/// `NAME=`, `NAME+=` or `NAME[...]=` at the start of a command.
fn is_assignment(word: &Word) -> bool {
    let name = name_of(word).len();
    let starts_well = word.text.first().is_some_and(|byte| !byte.is_ascii_digit());
    name > 0
        && starts_well
        && match word.text[name..] {
            [b'=', ..] | [b'+', b'=', ..] => true,
            [b'[', ref behind @ ..] => {
                behind.windows(2).any(|pair| pair == b"]=") || behind.windows(3).any(|end| end == b"]+=")
            }
            _ => false,
        }
}
