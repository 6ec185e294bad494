//! The screen that a terminal shows after a job and the bar wrote to it, against the screen of the job alone.

use std::time::Duration;

use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

use super::Screen;

const WIDTH: u16 = 40;
const HEIGHT: u16 = 8;
const BAR: &str = "[=====>    ] 42 %";

/// A terminal with the driver's output processing before it.
struct Terminal {
    parser: vt100::Parser,
}

impl Terminal {
    fn new() -> Self {
        Self { parser: vt100::Parser::new(HEIGHT, WIDTH, 1000) }
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => self.parser.process(b"\r\n"),
                _ => self.parser.process(&[*byte]),
            }
        }
    }

    fn visible(&self) -> Vec<String> {
        self.parser.screen().rows(0, WIDTH).map(|row| row.trim_end().to_owned()).collect()
    }

    /// Every line from the first that was scrolled out to the last of the screen.
    fn history(&mut self) -> Vec<String> {
        let screen = self.parser.screen_mut();
        screen.set_scrollback(usize::MAX);
        let mut lines = Vec::new();
        for offset in (1..=screen.scrollback()).rev() {
            screen.set_scrollback(offset);
            lines.extend(screen.rows(0, WIDTH).next().map(|row| row.trim_end().to_owned()));
        }
        screen.set_scrollback(0);
        lines.extend(self.visible());
        lines
    }

    /// Letters and backgrounds of every line, as `history` has them.
    fn painting(&mut self) -> Vec<Vec<(String, vt100::Color, vt100::Color)>> {
        let screen = self.parser.screen_mut();
        let row = |screen: &vt100::Screen, row| {
            let cells = (0..WIDTH).filter_map(move |column| screen.cell(row, column));
            let mut cells: Vec<_> =
                cells.map(|cell| (cell.contents().trim().to_owned(), cell.fgcolor(), cell.bgcolor())).collect();
            for cell in &mut cells {
                // The colour of a letter that is none does not show.
                if cell.0.is_empty() {
                    cell.1 = vt100::Color::Default;
                }
            }
            while cells.last().is_some_and(|cell| cell.0.is_empty() && cell.2 == vt100::Color::Default) {
                cells.pop();
            }
            cells
        };
        screen.set_scrollback(usize::MAX);
        let mut rows = Vec::new();
        for offset in (1..=screen.scrollback()).rev() {
            screen.set_scrollback(offset);
            rows.push(row(screen, 0));
        }
        screen.set_scrollback(0);
        rows.extend((0..HEIGHT).map(|number| row(screen, number)));
        while rows.last().is_some_and(Vec::is_empty) {
            rows.pop();
        }
        rows
    }

    /// The lines that are not empty at the end, and the cursor within them.
    fn story(&mut self) -> (Vec<String>, (usize, u16)) {
        let mut lines = self.history();
        let (row, column) = self.parser.screen().cursor_position();
        let row = lines.len() - usize::from(HEIGHT) + usize::from(row);
        while lines.len() > row + 1 && lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        (lines, (row, column))
    }
}

/// A screen with a bar, the terminal behind it, and the time.
struct Stage {
    screen: Screen,
    terminal: Terminal,
    now: Duration,
}

impl Stage {
    fn new() -> Self {
        let mut stage =
            Self { screen: Screen::new(WIDTH, HEIGHT), terminal: Terminal::new(), now: Duration::from_secs(1) };
        stage.footer(&[BAR]);
        stage
    }

    fn footer(&mut self, lines: &[&str]) {
        let written = self.screen.footer(lines.iter().map(|line| (*line).to_owned()).collect(), self.now);
        self.terminal.write(&written);
    }

    fn output(&mut self, bytes: impl AsRef<[u8]>) {
        self.now += Duration::from_millis(10);
        let written = self.screen.output(bytes.as_ref(), self.now);
        self.terminal.write(&written);
    }

    /// Lets time go by and draws what was put off.
    fn rest(&mut self) {
        self.now += Duration::from_secs(1);
        let written = self.screen.tick(self.now);
        self.terminal.write(&written);
    }

    fn finish(&mut self) {
        let written = self.screen.finish();
        self.terminal.write(&written);
    }

    fn line_above(&mut self, text: &str) {
        let written = self.screen.line_above(text);
        self.terminal.write(&written);
    }

    /// What stands on the screen, down to the last line that is not empty.
    fn text(&self) -> String {
        self.terminal.visible().join("\n").trim_end().to_owned()
    }

    fn cursor(&self) -> (u16, u16) {
        self.terminal.parser.screen().cursor_position()
    }
}

/// What the job alone would have shown.
fn alone(bytes: &[u8]) -> (Vec<String>, (usize, u16)) {
    let mut terminal = Terminal::new();
    terminal.write(bytes);
    terminal.story()
}

#[test]
fn the_bar_stands_below_the_last_line() {
    let mut stage = Stage::new();
    stage.output("one\ntwo\n");
    assert_eq!(stage.text(), format!("one\ntwo\n\n{BAR}"));
    assert_eq!(stage.cursor(), (2, 0));
}

#[test]
fn an_unfinished_line_keeps_its_cursor() {
    let mut stage = Stage::new();
    stage.output("Name: ");
    assert_eq!(stage.text(), format!("Name:\n{BAR}"));
    assert_eq!(stage.cursor(), (0, 6));
    stage.rest();
    stage.output("next");
    assert_eq!(stage.text(), format!("Name: next\n{BAR}"));
}

#[test]
fn a_line_that_is_written_over_leaves_what_it_left() {
    let mut stage = Stage::new();
    stage.output("100 files to go\r");
    stage.rest();
    stage.output("99");
    assert_eq!(stage.text(), format!("990 files to go\n{BAR}"));
    stage.footer(&["another bar"]);
    stage.rest();
    stage.output("\n");
    assert_eq!(stage.text(), "990 files to go\n\nanother bar");
}

#[test]
fn output_that_stays_on_its_line_does_not_erase_the_bar() {
    let mut stage = Stage::new();
    stage.output("start\n");
    stage.rest();
    let written = stage.screen.output(b"\r\x1b[K42 %\x1b[31m!\x1b[m", stage.now);
    assert_eq!(String::from_utf8_lossy(&written), "\x1b[K\r\x1b[K42 %\x1b[31m!\x1b[m");
}

#[test]
fn at_the_bottom_the_screen_scrolls_and_the_bar_is_the_last_line() {
    let mut stage = Stage::new();
    for number in 1..=20 {
        stage.output(format!("line {number}\n"));
        stage.rest();
    }
    let mut expected: Vec<String> = (15..=20).map(|number| format!("line {number}")).collect();
    expected.extend([String::new(), BAR.to_owned()]);
    assert_eq!(stage.text(), expected.join("\n"));
    let (lines, _) = stage.terminal.story();
    assert_eq!(lines[..20], (1..=20).map(|number| format!("line {number}")).collect::<Vec<_>>());
}

#[test]
fn several_lines_of_bar_come_and_go() {
    let mut stage = Stage::new();
    for number in 1..=9 {
        stage.output(format!("line {number}\n"));
    }
    stage.rest();
    stage.footer(&["first", "second"]);
    assert_eq!(stage.text(), "line 5\nline 6\nline 7\nline 8\nline 9\n\nfirst\nsecond");
    stage.footer(&["only"]);
    assert_eq!(stage.text(), "line 5\nline 6\nline 7\nline 8\nline 9\n\nonly");
    stage.footer(&[]);
    assert_eq!(stage.text(), "line 5\nline 6\nline 7\nline 8\nline 9");
}

#[test]
fn a_flood_draws_the_bar_now_and_then_and_at_its_end() {
    let mut stage = Stage::new();
    let mut drawn = 0;
    for number in 0..1000 {
        let written = stage.screen.output(format!("{number}\n").as_bytes(), stage.now);
        drawn += usize::from(String::from_utf8_lossy(&written).contains(BAR));
        stage.now += Duration::from_micros(100);
    }
    assert!((10..=25).contains(&drawn), "{drawn}");
    let due = stage.screen.draws_at().expect("the bar was left erased");
    assert!(due <= stage.now + Duration::from_millis(20));
    assert!(String::from_utf8_lossy(&stage.screen.tick(due)).contains(BAR));
    assert_eq!(stage.screen.draws_at(), None);
}

#[test]
fn what_is_typed_at_a_prompt_is_not_mixed_with_the_bar() {
    let mut stage = Stage::new();
    stage.output("Name: ");
    stage.rest();
    // The echo of the terminal comes without our knowing, and Enter takes the cursor to the bar's own line.
    stage.terminal.write(b"Eve\n");
    stage.rest();
    stage.output("Hello");
    assert_eq!(stage.terminal.visible()[..2], ["Name: Eve", "Hello"]);
    stage.output(", Eve\n");
    stage.rest();
    assert_eq!(stage.text(), format!("Name: Eve\nHello, Eve\n\n{BAR}"));
}

#[test]
fn a_redraw_after_typing_leaves_one_bar() {
    let mut stage = Stage::new();
    stage.output("Name: ");
    stage.rest();
    stage.terminal.write(b"Eve\n");
    stage.footer(&["another bar"]);
    assert_eq!(stage.text(), "Name: Eve\n\nanother bar");
}

#[test]
fn the_alternate_screen_is_the_jobs_alone() {
    let mut stage = Stage::new();
    stage.output("before\n");
    stage.rest();
    stage.output("\x1b[?1049h\x1b[2J\x1b[Hfull screen");
    assert!(stage.screen.in_alternate_screen());
    stage.footer(&["another bar"]);
    stage.rest();
    stage.line_above("a warning");
    assert_eq!(stage.text(), "full screen");
    let written = stage.screen.output(b"\x1b[5;1Hmore", stage.now);
    assert_eq!(written, b"\x1b[5;1Hmore");
    stage.output("\x1b[?1049l");
    stage.rest();
    assert_eq!(stage.text(), "before\na warning\n\nanother bar");
    assert_eq!(stage.cursor(), (2, 0));
}

#[test]
fn a_job_that_repaints_its_lines_keeps_them() {
    let mut stage = Stage::new();
    stage.output("a: 0\nb: 0\nc: 0\n");
    stage.rest();
    for number in 1..=9 {
        stage.output(format!("\x1b[3A\ra: {number}\x1b[K\n"));
        stage.rest();
        // Even when the job rests in the middle of its picture.
        assert_eq!(stage.text(), format!("a: {number}\nb: {}\nc: {}\n\n{BAR}", number - 1, number - 1));
        stage.footer(&[&format!("bar {number}")]);
        stage.footer(&[BAR]);
        stage.output(format!("b: {number}\x1b[K\nc: {number}\x1b[K\n"));
        stage.rest();
        assert_eq!(stage.text(), format!("a: {number}\nb: {number}\nc: {number}\n\n{BAR}"));
    }
}

#[test]
fn a_picture_is_not_interrupted_by_the_bar() {
    let mut stage = Stage::new();
    stage.output("a\nb\n");
    stage.rest();
    let written = stage.screen.output(b"\x1b[2A\x1b[Ja", stage.now);
    assert!(!String::from_utf8_lossy(&written).contains(BAR));
    assert_eq!(stage.screen.draws_at(), Some(stage.now + Duration::from_millis(30)));
    // A job that never is quiet gets its bar back all the same.
    let start = stage.now;
    let mut drawn_at = None;
    while drawn_at.is_none() && stage.now < start + Duration::from_secs(1) {
        stage.now += Duration::from_millis(10);
        let written = stage.screen.output(b"\x1b[1A\x1b[Jb\n", stage.now);
        drawn_at = String::from_utf8_lossy(&written).contains(BAR).then_some(stage.now);
    }
    assert_eq!(drawn_at, Some(start + Duration::from_millis(250)));
}

#[test]
fn a_position_that_the_job_saved_is_still_its_own() {
    let mut stage = Stage::new();
    stage.output("spin \x1b7");
    stage.rest();
    for number in 1..=3 {
        // It comes back to the same place again and again, having saved it once.
        stage.output(format!("\x1b8{number} done"));
        stage.rest();
        stage.footer(&["another bar"]);
        stage.footer(&[BAR]);
        assert_eq!(stage.text(), format!("spin {number} done\n{BAR}"));
    }
}

#[test]
fn a_line_that_fills_the_width_goes_on_in_the_next() {
    for length in usize::from(WIDTH) - 1..=usize::from(WIDTH) + 1 {
        let mut stage = Stage::new();
        let text = "x".repeat(length);
        stage.output(&text);
        stage.rest();
        stage.footer(&["another bar"]);
        stage.rest();
        stage.output("yz");
        stage.finish();
        assert_eq!(stage.terminal.story(), alone(format!("{text}yz").as_bytes()), "{length}");
    }
}

#[test]
fn colours_of_the_job_are_its_own() {
    let mut stage = Stage::new();
    stage.output("\x1b[31;44mred on blue\n");
    stage.rest();
    stage.line_above("plain");
    stage.output("still red");
    stage.rest();
    let screen = stage.terminal.parser.screen();
    let colour = |row, column| screen.cell(row, column).map(|cell| (cell.fgcolor(), cell.bgcolor()));
    let red_on_blue = Some((vt100::Color::Idx(1), vt100::Color::Idx(4)));
    let plain = Some((vt100::Color::Default, vt100::Color::Default));
    assert_eq!(stage.text(), format!("red on blue\nplain\nstill red\n{BAR}"));
    assert_eq!(colour(0, 0), red_on_blue);
    assert_eq!(colour(1, 0), plain);
    assert_eq!(colour(2, 0), red_on_blue);
    assert_eq!(colour(3, 0), plain);
    assert_eq!(colour(2, 30), plain);
}

#[test]
fn our_own_lines_stand_on_lines_of_their_own() {
    let mut stage = Stage::new();
    stage.line_above("first");
    assert_eq!(stage.text(), format!("first\n\n{BAR}"));
    stage.output("unfinished");
    stage.line_above("second");
    stage.output("\rwritten over\r");
    stage.line_above("third");
    assert_eq!(stage.text(), format!("first\nunfinished\nsecond\nwritten over\nthird\n\n{BAR}"));
    assert!(stage.screen.at_line_start());
}

#[test]
fn our_own_lines_go_below_a_picture() {
    let mut stage = Stage::new();
    stage.output("a\nb\nc\n\x1b[3A");
    stage.rest();
    stage.line_above("a warning");
    assert_eq!(stage.text(), format!("a\nb\nc\n\na warning\n\n{BAR}"));
}

#[test]
fn sequences_and_characters_may_be_cut_anywhere() {
    let bytes = "\x1b[1;31mfett\x1b[0m é 日本 🎉\n\x1b]0;a title\x07x\x1bPq~\x1b\\y\x1b(B\x1b[?25lz\n".as_bytes();
    let expected = alone(bytes);
    for cut in 0..=bytes.len() {
        let mut stage = Stage::new();
        stage.output(&bytes[..cut]);
        stage.rest();
        stage.footer(&[&format!("bar {cut}")]);
        stage.output(&bytes[cut..]);
        stage.rest();
        assert!(stage.text().ends_with(&format!("bar {cut}")), "{cut}: {}", stage.text());
        stage.finish();
        assert_eq!(stage.terminal.story(), expected, "{cut}");
    }
}

#[test]
fn a_sequence_that_never_ends_keeps_nothing_back() {
    let mut stage = Stage::new();
    stage.output("\x1b]0;a title");
    stage.rest();
    assert_eq!(stage.text(), "");
    stage.line_above("a warning");
    assert_eq!(stage.text(), "");
    stage.finish();
    assert_eq!(stage.text(), "a warning");
}

#[test]
fn finishing_erases_the_bar_and_lets_output_pass() {
    let mut stage = Stage::new();
    stage.output("text");
    stage.finish();
    assert_eq!(stage.text(), "text");
    assert_eq!(stage.cursor(), (0, 4));
    assert_eq!(stage.screen.output(b"more", stage.now), b"more");
    assert!(stage.screen.finish().is_empty());
    assert!(stage.screen.footer(vec!["late".to_owned()], stage.now).is_empty());
    assert!(stage.screen.tick(stage.now).is_empty());
    assert!(!stage.screen.at_line_start());
    assert_eq!(stage.screen.line_above("last words"), b"\x1b[m\r\nlast words\r\n");
    assert!(stage.screen.at_line_start());
}

#[test]
fn what_a_killed_job_left_is_set_right() {
    let mut stage = Stage::new();
    stage.output("before\n");
    stage.output("\x1b[?1049h\x1b[?25l\x1b[?1000;1006h\x1b[?2004h\x1b[?2004l\x1b[2;4r\x1b[31mfull screen\x1b[1");
    let written = stage.screen.restore();
    assert_eq!(
        String::from_utf8_lossy(&written),
        "\x18\x1b7\x1b[r\x1b8\x1b[?1000l\x1b[?1006l\x1b[?1049l\x1b[?25h\x1b[m"
    );
    stage.terminal.write(&written);
    stage.finish();
    assert_eq!(stage.text(), "before");
    assert_eq!(stage.cursor(), (1, 0));
    assert!(stage.screen.at_line_start());
    let mut tidy = Stage::new();
    tidy.output("text\n");
    tidy.finish();
    assert!(tidy.screen.restore().is_empty());
}

#[test]
fn what_goes_aside_waits_for_the_end_of_a_sequence() {
    let mut screen = Screen::new(WIDTH, HEIGHT);
    assert_eq!(screen.aside("\x1b]9;4;3;0\x1b\\"), b"\x1b]9;4;3;0\x1b\\");
    assert_eq!(screen.output(b"\x1b[3", Duration::ZERO), b"\x1b[3");
    assert!(screen.aside("first").is_empty());
    assert!(screen.aside("second").is_empty());
    assert_eq!(screen.output(b"1m", Duration::ZERO), b"1msecond");
    screen.output(b"\x1b]0;title", Duration::ZERO);
    assert!(screen.aside("last").is_empty());
    assert_eq!(screen.finish(), b"\x18last");
}

#[test]
fn erasing_never_begins_in_the_upper_left_corner() {
    let mut stage = Stage::new();
    for _ in 0..3 {
        let written = stage.screen.footer(vec![format!("bar at {:?}", stage.now)], stage.now);
        assert!(!String::from_utf8_lossy(&written).starts_with("\x1b[J"));
        stage.rest();
    }
}

#[test]
fn a_resize_leaves_nothing_of_the_old_bar() {
    for (width, height) in [(20, 8), (40, 3), (80, 24), (10, 2)] {
        for text in ["one\ntwo\n", "one\ntwo\nunfinished", "1\n2\n3\n4\n5\n6\n7\n8\n9\n"] {
            let mut stage = Stage::new();
            stage.output(text);
            stage.rest();
            stage.terminal.parser.screen_mut().set_size(height, width);
            stage.screen.resize(width, height);
            assert!(stage.screen.draws_at().is_some());
            stage.rest();
            stage.footer(&["bar"]);
            stage.output("end\n");
            stage.rest();
            let shown = stage.text();
            assert_eq!(shown.matches("bar").count(), 1, "{width}x{height}: {shown}");
            assert!(!shown.contains("42"), "{width}x{height}: {shown}");
        }
    }
}

#[test]
fn a_terminal_without_room_has_no_bar() {
    let mut screen = Screen::new(40, 1);
    assert!(screen.footer(vec![BAR.to_owned()], Duration::ZERO).is_empty());
    assert_eq!(screen.output(b"text\n", Duration::ZERO), b"text\n");
}

#[test]
fn clearing_the_screen_brings_the_bar_to_the_top() {
    let mut stage = Stage::new();
    stage.output("old\nold\nold\n");
    stage.rest();
    stage.output("\x1b[H\x1b[2Jnew\n");
    stage.rest();
    assert_eq!(stage.text(), format!("new\n\n{BAR}"));
}

#[test]
fn a_picture_of_the_whole_screen_is_left_alone() {
    let mut stage = Stage::new();
    stage.output("one\ntwo\nthree\nfour\n");
    stage.rest();
    stage.output("\x1b[2;1HTWO");
    stage.rest();
    stage.footer(&["another bar"]);
    stage.rest();
    assert_eq!(stage.text(), "one\nTWO\nthree\nfour");
    stage.output("\x1b[r\x1b[2;4r\x1b[8;1H");
    stage.rest();
    assert_eq!(stage.text(), "one\nTWO\nthree\nfour");
}

/// Pieces of what jobs write that mean the same wherever the screen has been scrolled to.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9 ]{1,30}",
        "[a-z]{30,90}",
        prop::sample::select(vec![
            "\n",
            "\r",
            "\r\n",
            "\t",
            "\x08",
            "\x08\x08 ",
            "é",
            "日本語",
            "🎉",
            "e\u{301}",
            "\x1b[31m",
            "\x1b[0m",
            "\x1b[1;44m",
            "\x1b[K",
            "\x1b[2K",
            "\x1b[1K",
            "\x1b[5C",
            "\x1b[3D",
            "\x1b[10G",
            "\x1b]0;title\x07",
            "\x1b(B",
            "\x1b[?25l",
            "\x1b[m\x1b[J",
            "\x1b[2P",
            "\x1b[3X",
            "a\nb\nc\n\x1b[2A\rX\x1b[2B",
            "a\nb\n\x1b[2A",
            "p\nq\n\x1b[2A\x1b[m\x1b[Jr\n",
            "\n\x1b[Ax\n",
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn the_job_shows_what_it_would_show_alone(
        pieces in prop::collection::vec(piece(), 1..40),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_u64..60), 0..30),
    ) {
        let bytes = pieces.concat().into_bytes();
        let mut cuts: Vec<(usize, u64)> = cuts.iter().map(|(at, pause)| (at.index(bytes.len()), *pause)).collect();
        cuts.push((bytes.len(), 50));
        cuts.sort_unstable();
        let mut stage = Stage::new();
        let mut from = 0;
        for (number, (to, pause)) in cuts.into_iter().enumerate() {
            stage.output(&bytes[from..to]);
            from = to;
            stage.now += Duration::from_millis(pause);
            let written = stage.screen.tick(stage.now);
            stage.terminal.write(&written);
            if number % 3 == 0 {
                stage.footer(&[&format!("bar {number}")]);
            }
        }
        stage.finish();
        let mut alone = Terminal::new();
        alone.write(&bytes);
        prop_assert_eq!(stage.terminal.story(), alone.story());
        prop_assert_eq!(stage.terminal.painting(), alone.painting());
    }

    #[test]
    fn single_bytes_show_what_one_piece_shows(pieces in prop::collection::vec(piece(), 1..20)) {
        let bytes = pieces.concat().into_bytes();
        let mut stage = Stage::new();
        for byte in &bytes {
            stage.output([*byte]);
            stage.now += Duration::from_millis(2);
        }
        stage.rest();
        let mut whole = Stage::new();
        whole.output(&bytes);
        whole.rest();
        stage.finish();
        whole.finish();
        prop_assert_eq!(stage.terminal.story(), whole.terminal.story());
    }

    #[test]
    fn any_bytes_pass_unchanged(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        let mut screen = Screen::new(WIDTH, HEIGHT);
        prop_assert_eq!(screen.output(&bytes, Duration::ZERO), bytes.clone());
        screen.footer(vec![BAR.to_owned()], Duration::from_secs(1));
        let written = screen.output(&bytes, Duration::from_secs(2));
        prop_assert_eq!(written.windows(bytes.len()).any(|window| window == bytes), true);
    }
}
