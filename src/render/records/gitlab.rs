//! The job log of GitLab: each job's output in a section of its own, folded, with its time beside it.
//!
//! A section is a pair of marker lines that GitLab's log viewer takes out. Its name holds letters, digits, `_`, `.` and
//! `-` only, and no two of a log are alike.

use crate::model::batch::{Ended, Verdict};
use crate::model::envelope::Envelope;
use crate::model::printable::clean;
use crate::render::records::{CiLog, Frame, story};

/// A heading is cut at so many bytes.
const HEADING_LIMIT: usize = 200;

/// Sections around outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gitlab;

impl CiLog for Gitlab {
    fn around_job(&mut self, ended: &Ended, envelope: &Envelope, whole: bool) -> Frame {
        // A skipped job has no output, and there may be thousands of them.
        if !whole || ended.verdict == Verdict::Skipped {
            return Frame::default();
        }
        let name = format!("runner_job_{}", ended.seq);
        let finished = ended.ended_at.as_secs();
        let started = ended.started_at.map_or(finished, |started| started.as_secs());
        let before = format!(
            "\x1b[0Ksection_start:{started}:{name}[collapsed=true]\r\x1b[0K{}\n",
            story::shortened(&heading(ended, envelope), HEADING_LIMIT)
        );
        // A colour that the job left on ends with its section.
        let after = format!("\x1b[0m\x1b[0Ksection_end:{finished}:{name}\r\x1b[0K\n");
        Frame { before: before.into_bytes(), after: after.into_bytes() }
    }
}

/// What is to be seen of a job whose section is folded.
fn heading(ended: &Ended, envelope: &Envelope) -> String {
    let title = clean(&ended.title);
    let word = story::word(ended.verdict);
    if ended.verdict.is_success() {
        return format!("{title}: {word}");
    }
    let title = story::shortened(&title, HEADING_LIMIT / 2);
    format!("{title}: {word}: {}", clean(&story::cause(ended, envelope)))
}

#[cfg(test)]
mod tests {
    use super::Gitlab;
    use crate::render::records::CiLog;
    use crate::render::records::fixture::Story;

    fn around(story: Story, whole: bool) -> [String; 2] {
        let (ended, envelope) = story.build();
        let frame = Gitlab.around_job(&ended, &envelope, whole);
        [frame.before, frame.after].map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_job_is_a_folded_section_with_its_times() {
        assert_eq!(
            around(Story::success(), true),
            [
                "\x1b[0Ksection_start:1795470330:runner_job_1[collapsed=true]\r\x1b[0Kone: succeeded\n",
                "\x1b[0m\x1b[0Ksection_end:1795470342:runner_job_1\r\x1b[0K\n"
            ]
        );
    }

    #[test]
    fn the_heading_of_a_failure_says_why() {
        let [before, _] = around(Story::exit(3), true);
        assert!(before.ends_with("\r\x1b[0Kone: failed: echo one exited with code 3\n"), "{before:?}");
    }

    #[test]
    fn a_title_cannot_open_a_section() {
        let [before, _] = around(Story::success().titled("a\r\x1b[0Ksection_end:1:x\r\n b"), true);
        assert_eq!(before.matches('\r').count(), 1);
        assert_eq!(before.matches('\x1b').count(), 2);
        assert_eq!(before.matches('\n').count(), 1);
        let [before, _] = around(Story::exit(1).titled(&"x".repeat(100_000)), true);
        assert!(before.len() < 400 && before.contains("failed: echo one"), "{before}");
    }

    #[test]
    fn output_that_went_by_already_has_no_section() {
        assert_eq!(around(Story::success(), false), ["", ""]);
        assert_eq!(around(Story::skipped("x"), true), ["", ""]);
    }
}
