//! The log of GitHub Actions: an error annotation for each job that did not succeed, and each job's output in a group.
//!
//! The log takes every line that looks like a command for one, on both streams. So a group holds its output between a
//! stop of the commands and the word that resumes them, which no job can know. An annotation must not come in between:
//! it stands behind the output in the group, or at the end.

use std::fmt::Write as _;

use crate::model::batch::{Ended, Verdict};
use crate::model::envelope::Envelope;
use crate::model::printable::{clean, clean_lines};
use crate::render::records::{CiLog, Frame, story};

/// More annotations than this are neither shown nor read; a line says how many more there are.
const ANNOTATION_LIMIT: u64 = 50;
const TITLE_LIMIT: usize = 200;
const MESSAGE_LIMIT: usize = 1000;
/// Lines of a job's output that stand in its annotation.
const OUTPUT_LINES: usize = 10;

/// Commands in the log.
#[derive(Debug)]
pub(super) struct Github {
    token: String,
    /// How many jobs asked for an annotation.
    asked: u64,
    /// Annotations that have not been written yet.
    waiting: String,
}

impl Github {
    pub(super) fn new(token: &str) -> Self {
        Self { token: token.to_owned(), asked: 0, waiting: String::new() }
    }

    /// The annotation of this job, where it gets one.
    fn annotation(&mut self, ended: &Ended, envelope: &Envelope) -> Option<String> {
        // What was skipped or cancelled follows from something else, which has an annotation.
        if !matches!(ended.verdict, Verdict::Failed | Verdict::TimedOut) {
            return None;
        }
        self.asked += 1;
        if self.asked > ANNOTATION_LIMIT {
            return None;
        }
        let title = format!("{}: {}", clean(&ended.title), story::word(ended.verdict));
        let title = story::shortened(&title, TITLE_LIMIT);
        let mut message = story::shortened(&clean_lines(&story::cause(ended, envelope), ""), MESSAGE_LIMIT);
        if let Some(output) = story::output(envelope) {
            let text = console::strip_ansi_codes(story::tail(story::telling(output), MESSAGE_LIMIT).0).into_owned();
            for line in story::last_lines(&text, OUTPUT_LINES) {
                let _ = write!(message, "\n{}", clean(line));
            }
        }
        Some(format!("::error title={}::{}\n", property(&title), data(&message)))
    }
}

impl CiLog for Github {
    fn around_job(&mut self, ended: &Ended, envelope: &Envelope, whole: bool) -> Frame {
        let annotation = self.annotation(ended, envelope).unwrap_or_default();
        if !whole {
            self.waiting.push_str(&annotation);
            return Frame::default();
        }
        // It has no output, and there may be thousands of them.
        if ended.verdict == Verdict::Skipped {
            return Frame::default();
        }
        let heading = story::shortened(&ended.title, TITLE_LIMIT);
        let heading = data(&format!("{}: {}", clean(&heading), story::word(ended.verdict)));
        let token = &self.token;
        Frame {
            before: format!("::group::{heading}\n::stop-commands::{token}\n").into_bytes(),
            // The group is folded; what failed is to be seen without opening it.
            after: format!("::{token}::\n::endgroup::\n{annotation}").into_bytes(),
        }
    }

    fn around_all(&self) -> Frame {
        let token = &self.token;
        Frame {
            before: format!("::stop-commands::{token}\n").into_bytes(),
            after: format!("::{token}::\n").into_bytes(),
        }
    }

    fn job(&mut self, ended: &Ended, envelope: &Envelope) {
        let annotation = self.annotation(ended, envelope).unwrap_or_default();
        self.waiting.push_str(&annotation);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.waiting.as_bytes());
        self.waiting.clear();
        if self.asked > ANNOTATION_LIMIT {
            let more = self.asked - ANNOTATION_LIMIT;
            out.extend_from_slice(
                format!("::error title=more failures::{more} more jobs did not succeed\n").as_bytes(),
            );
        }
    }
}

/// The text of a command. `%` comes first, as it is resolved last.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{ANNOTATION_LIMIT, Github, data, property};
    use crate::render::records::CiLog;
    use crate::render::records::fixture::Story;

    fn around(story: Story, whole: bool) -> [String; 2] {
        let (ended, envelope) = story.build();
        let frame = Github::new("T0").around_job(&ended, &envelope, whole);
        [frame.before, frame.after].map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn output_stands_in_a_group_without_commands() {
        assert_eq!(
            around(Story::success(), true),
            ["::group::one: succeeded\n::stop-commands::T0\n", "::T0::\n::endgroup::\n"]
        );
        let frame = Github::new("T0").around_all();
        assert_eq!((frame.before, frame.after), (b"::stop-commands::T0\n".to_vec(), b"::T0::\n".to_vec()));
    }

    #[test]
    fn a_failure_is_annotated_behind_its_group() {
        let mut story = Story::exit(3);
        story.stderr = b"::error::100%\n\x1b[31mred\x1b[0m\n".to_vec();
        assert_eq!(
            around(story, true)[1],
            "::T0::\n::endgroup::\n\
             ::error title=one%3A failed::echo one exited with code 3%0A::error::100%25%0Ared\n"
        );
        assert!(around(Story::timeout(), true)[1].contains("::error title=one%3A timed out::Operation exceeded"));
        for quiet in [Story::skipped("x"), Story::cancelled(), Story::flaky()] {
            assert!(!around(quiet, true)[1].contains("::error"));
        }
    }

    #[test]
    fn without_groups_annotations_come_at_the_end_and_not_without_limit() {
        let mut log = Github::new("T0");
        for number in 0..ANNOTATION_LIMIT + 7 {
            let (ended, envelope) = Story::exit(3).titled(&format!("job {number}")).build();
            if number % 2 == 0 {
                log.job(&ended, &envelope);
            } else {
                assert!(log.around_job(&ended, &envelope, false).is_empty());
            }
        }
        let mut out = Vec::new();
        log.end(&mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count() as u64, ANNOTATION_LIMIT + 1);
        assert!(text.starts_with("::error title=job 0%3A failed::"));
        assert!(text.ends_with("::error title=more failures::7 more jobs did not succeed\n"));
    }

    #[test]
    fn a_title_is_one_line_of_one_command() {
        let [before, after] = around(Story::exit(1).titled("a\n::set-output name=x::y\r,b: 5%"), true);
        assert_eq!(before.lines().count(), 2);
        assert!(before.starts_with("::group::a ::set-output name=x::y ,b: 5%25: failed\n"), "{before}");
        assert_eq!(after.lines().count(), 3);
        assert!(after.contains("title=a %3A%3Aset-output name=x%3A%3Ay %2Cb%3A 5%25%3A failed::"), "{after}");
    }

    /// What the log makes of a value: the escapes in any order, but that of `%` last.
    fn read(text: &str) -> String {
        text.replace("%0D", "\r").replace("%0A", "\n").replace("%3A", ":").replace("%2C", ",").replace("%25", "%")
    }

    proptest! {
        #[test]
        fn a_value_is_read_back_as_it_was(text in r"(\PC|%|[\r\n:,]|%0A|%25){0,40}") {
            let (value, title) = (data(&text), property(&text));
            prop_assert!(!value.contains(['\r', '\n']));
            prop_assert!(!title.contains(['\r', '\n', ':', ',']));
            prop_assert_eq!(read(&title), text);
        }
    }
}
